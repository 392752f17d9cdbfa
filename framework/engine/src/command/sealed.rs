//! The private supertrait of [`Boundary`](crate::boundary::Boundary).

/// A type that this crate implements [`Boundary`](crate::boundary::Boundary) for.
pub trait Sealed {}
