//! The OpenAPI description of the REST API, collected from the routes.

use serde::Serialize;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required,
    ResponseBuilder, ServerBuilder,
};
use utoipa::{IntoParams, PartialSchema as _, ToSchema};

use crate::specs::domain::SpecId;

/// The lifecycle state of a specification.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = SpecState)]
#[allow(dead_code, reason = "the schema of a state")]
pub enum SpecStateName {
    /// The specification was never published.
    Draft,
    /// A version of the specification is published.
    Published,
    /// The specification must no longer be used.
    Deprecated,
    /// The specification is deleted. Its history remains.
    Deleted,
}

/// The path parameter of routes on one specification.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "the schema of a parameter")]
pub struct SpecPath {
    /// The id of the specification.
    #[param(value_type = uuid::Uuid)]
    id: SpecId,
}

/// An error, in the format of RFC 9457. Further members have the facts of the error.
#[derive(ToSchema)]
#[schema(as = Problem)]
#[allow(dead_code, reason = "the schema of a problem")]
struct ProblemBody {
    /// The URN of the code.
    #[schema(example = "urn:spec-service:problem:not_found")]
    r#type: String,
    /// The meaning of the status.
    title: String,
    /// The status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// The text for people: the event, the value, and the rule or the next step.
    detail: String,
    /// The stable error code, for programs.
    #[schema(example = "not_found")]
    code: String,
    /// The invalid fields of the body.
    errors: Option<Vec<FieldProblem>>,
}

/// An invalid field of the body.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the schema of a problem")]
struct FieldProblem {
    /// The JSON pointer of the field (RFC 6901).
    #[schema(example = "/name")]
    pointer: String,
    /// The rule that the field breaks.
    detail: String,
}

/// Returns the description without the routes.
pub fn base() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Spec Service")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "The life cycle of small YAML specifications, with a full audit trail.",
        ))
        .license(Some(
            LicenseBuilder::new()
                .name(env!("CARGO_PKG_LICENSE"))
                .identifier(Some(env!("CARGO_PKG_LICENSE")))
                .build(),
        ))
        .build();
    let server = ServerBuilder::new().url("/").build();
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([server]))
        .build()
}

/// Adds the shared parts to each operation: the headers, and the problem.
pub fn with_shared_parts(mut api: OpenApi) -> OpenApi {
    let components = api.components.get_or_insert_with(Default::default);
    for (name, schema) in [
        ("Problem", ProblemBody::schema()),
        ("FieldProblem", FieldProblem::schema()),
    ] {
        components.schemas.insert(name.to_owned(), schema);
    }
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "A token or an API key. Not needed in development mode.",
        ))
        .build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    api.security = Some(vec![
        SecurityRequirement::default(),
        SecurityRequirement::new("bearer", [""; 0]),
    ]);
    for (path, item) in &mut api.paths.paths {
        let is_versioned = path.starts_with("/v1/");
        let is_on_one = path.contains("{id}");
        for (is_write, operation) in operations(item) {
            add_problem(operation);
            if !is_versioned {
                continue;
            }
            add_header(
                operation,
                "X-Correlation-Id",
                "A UUID that connects related requests.",
            );
            if is_write {
                add_header(operation, "X-Actor", "The caller, recorded in the history.");
                add_header(
                    operation,
                    "Idempotency-Key",
                    "Makes it safe to repeat the request: the same key with the same request returns the first result.",
                );
                add_write_response(operation);
            }
            if is_write && is_on_one {
                let text = "The entity tag of the revision that the write expects.";
                add_header(operation, "If-Match", text);
            }
        }
    }
    api
}

/// Returns the operations of a path, and whether each changes something.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (bool, &mut Operation)> {
    [
        (false, item.get.as_mut()),
        (true, item.put.as_mut()),
        (true, item.post.as_mut()),
        (true, item.patch.as_mut()),
        (true, item.delete.as_mut()),
    ]
    .into_iter()
    .filter_map(|(is_write, operation)| Some((is_write, operation?)))
}

fn add_header(operation: &mut Operation, name: &str, text: &str) {
    let schema = if name == "X-Correlation-Id" {
        ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::String))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
    } else {
        ObjectBuilder::new().schema_type(SchemaType::new(Type::String))
    };
    let header = ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(text))
        .schema(Some(schema))
        .build();
    operation
        .parameters
        .get_or_insert_default()
        .push(RefOr::T(header));
}

fn add_problem(operation: &mut Operation) {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .build();
    let problem = ResponseBuilder::new()
        .description("An error")
        .content("application/problem+json", content)
        .build();
    let responses = &mut operation.responses.responses;
    for status in ["4XX", "5XX"] {
        responses.insert(status.to_owned(), RefOr::T(problem.clone()));
    }
}

/// Adds the position of the write to the successful responses.
fn add_write_response(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else {
            continue;
        };
        if status.starts_with('2') {
            let header = HeaderBuilder::new()
                .schema(Some(u64::schema()))
                .description(Some("The position of the write."))
                .build();
            response
                .headers
                .insert("X-Position".to_owned(), RefOr::T(header));
        }
    }
}
