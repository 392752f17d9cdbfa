//! Constructors of gRPC messages.

use spec_service::grpc::generated::{
    CreateSpecRequest, DeleteSpecRequest, DeprecateSpecRequest, GetSpecRequest, PublishSpecRequest,
    UpdateSpecRequest,
};
use tonic::Request;

pub fn new(name: &str, content: &str) -> CreateSpecRequest {
    CreateSpecRequest {
        namespace: String::new(),
        name: name.to_owned(),
        content: content.to_owned(),
        description: None,
        reason: None,
    }
}

pub fn by<T>(actor: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(
        "x-actor",
        actor.parse().expect("the actor is a valid metadata value"),
    );
    request
}

pub fn get(id: &str) -> GetSpecRequest {
    GetSpecRequest {
        id: id.to_owned(),
        ..GetSpecRequest::default()
    }
}

pub fn publish(id: &str, version: Option<u64>) -> PublishSpecRequest {
    PublishSpecRequest {
        id: id.to_owned(),
        version,
        expected_revision: None,
        reason: None,
    }
}

pub fn update(id: &str, content: &str) -> UpdateSpecRequest {
    UpdateSpecRequest {
        id: id.to_owned(),
        content: content.to_owned(),
        description: None,
        expected_version: None,
        expected_revision: None,
        reason: None,
    }
}

pub fn delete(id: &str) -> DeleteSpecRequest {
    DeleteSpecRequest {
        id: id.to_owned(),
        reason: Some("gone".to_owned()),
        expected_revision: None,
    }
}

pub fn deprecate(id: &str, reason: &str) -> DeprecateSpecRequest {
    DeprecateSpecRequest {
        id: id.to_owned(),
        reason: reason.to_owned(),
        expected_revision: None,
    }
}
