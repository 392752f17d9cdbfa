//! [`OmittedFields`]: the fields of a command that its fingerprint leaves out.

/// The fields of a command that its fingerprint leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OmittedFields {
    /// The number of fields that serde serializes or skips by a condition; 0 if no field is ever left out.
    pub of: usize,
    /// The indexes of the fields to leave out, among these.
    pub indexes: Vec<usize>,
}
