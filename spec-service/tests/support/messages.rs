//! Messages of the gRPC API, with what a test says of them.

use spec_service::grpc::generated::{
    CreateSpecRequest, DeleteSpecRequest, DeprecateSpecRequest, GetSpecRequest, PublishSpecRequest,
    UpdateSpecRequest,
};
use tonic::Request;

pub(crate) fn new(name: &str, content: &str) -> CreateSpecRequest {
    CreateSpecRequest {
        name: name.to_owned(),
        content: content.to_owned(),
        description: None,
    }
}

pub(crate) fn by<T>(actor: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("x-user-id", actor.parse().expect("text"));
    request
}

pub(crate) fn get(id: &str) -> GetSpecRequest {
    GetSpecRequest {
        id: id.to_owned(),
        version: None,
    }
}

pub(crate) fn publish(id: &str, version: Option<u64>) -> PublishSpecRequest {
    PublishSpecRequest {
        id: id.to_owned(),
        version,
        expected_revision: None,
    }
}

pub(crate) fn update(id: &str, content: &str) -> UpdateSpecRequest {
    UpdateSpecRequest {
        id: id.to_owned(),
        content: content.to_owned(),
        description: None,
        expected_version: None,
        expected_revision: None,
    }
}

pub(crate) fn delete(id: &str) -> DeleteSpecRequest {
    DeleteSpecRequest {
        id: id.to_owned(),
        reason: Some("gone".to_owned()),
        expected_revision: None,
    }
}

pub(crate) fn deprecate(id: &str, reason: &str) -> DeprecateSpecRequest {
    DeprecateSpecRequest {
        id: id.to_owned(),
        reason: reason.to_owned(),
        expected_revision: None,
    }
}
