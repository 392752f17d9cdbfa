//! Rejects serde attributes that leave a field out of a state that is stored and loaded.

use syn::Data;

use crate::container::all_fields;
use crate::errors::Errors;
use crate::serde_keys::find_serde_key;

/// The keys that leave out a field or a variant.
const SKIPPED: &[&str] = &["skip", "skip_serializing", "skip_deserializing"];

/// Checks that serde writes and reads every field and every variant.
///
/// `loss` is a part of the error message.
pub fn check_stored_fields(data: &Data, loss: &str, errors: &mut Errors) {
    for field in all_fields(data) {
        if let Some(key) = find_serde_key(&field.attrs, SKIPPED) {
            let message = format!("{loss}; remove `{key}`, or compute the value in a method");
            errors.push_at(&key, message);
        }
    }
    let Data::Enum(data) = data else { return };
    for variant in &data.variants {
        if let Some(key) = find_serde_key(&variant.attrs, SKIPPED) {
            let message =
                format!("a state of this variant could not be stored and loaded; remove `{key}`");
            errors.push_at(&key, message);
        }
    }
}
