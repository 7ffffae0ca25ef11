//! Small models, built and read back.
