//! [`type_name`]: the name of a Rust type in a catalog.

/// Returns the name of a type without its path and its generic parameters.
pub fn type_name<T>() -> String {
    short_name(std::any::type_name::<T>())
}

/// Returns the name of a type without its path and its generic parameters.
pub fn short_name(full: &str) -> String {
    let path = full.split('<').next().unwrap_or(full);
    path.rsplit("::").next().unwrap_or(path).to_owned()
}
