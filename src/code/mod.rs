//! What is known about the code of a workspace (spec 09). So far the small rules of its semantic index; knows neither tasks
//! nor tools, and reads no clock and no environment.

pub mod index;
