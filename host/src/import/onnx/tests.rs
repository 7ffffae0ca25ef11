//! Small models, built from the same structures as they are read with, written to a file and read back.

mod files;
mod folding;
mod layers;
mod model;
mod quantization;
mod shapes;
mod zoo;
