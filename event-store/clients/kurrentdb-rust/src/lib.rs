//! The tests of this package use a published client.
