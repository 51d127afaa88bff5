//! How providers of the clouds prove who asks: one folder a cloud. Everything comes from [`Surroundings`](super::Surroundings)
//! and the profile; nothing here reads the process's environment, home or clock, and no secret stands in an error.

pub mod aws;
pub mod google;
