//! Mappers: the geometry of one kind of device a file, each an implementation of [`crate::mapping::Mapper`].

mod arrays;
pub mod systolic;
pub mod tile_fabric;
