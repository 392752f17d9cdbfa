//! The REST API of the bank: idempotency keys, ETags and problem details.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use factum::Version;
use factum::engine::ExecuteError;
use factum::prelude::*;
use factum_examples::bank::{Account, AccountId, Deposit, Open, Withdraw};

use crate::problem::Problem;

const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Set if the answer repeats the result of an earlier request with the same key.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Returns the routes on `engine`.
pub fn router(engine: Engine) -> Router {
    Router::new()
        .route("/accounts/{id}", get(show).put(open))
        .route("/accounts/{id}/deposits", post(deposit))
        .route("/accounts/{id}/withdrawals", post(withdraw))
        .with_state(engine)
}

#[derive(Deserialize)]
struct OpenBody {
    customer: String,
}

#[derive(Deserialize)]
struct AmountBody {
    amount: u64,
}

async fn show(
    State(engine): State<Engine>,
    Path(id): Path<u32>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let account = engine.load::<Account>(&AccountId(id)).await?;
    if !account.exists() {
        let detail = format!("account {id} does not exist");
        return Err(Problem::new(StatusCode::NOT_FOUND, "not-found", detail));
    }
    let etag = etag(account.version());
    if headers.get(header::IF_NONE_MATCH) == Some(&etag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    Ok(answer(StatusCode::OK, &account, etag))
}

async fn open(
    State(engine): State<Engine>,
    Path(id): Path<u32>,
    headers: HeaderMap,
    Json(OpenBody { customer }): Json<OpenBody>,
) -> Result<Response, Problem> {
    let account = AccountId(id);
    execute(&engine, id, &headers, Open { account, customer }).await
}

async fn deposit(
    State(engine): State<Engine>,
    Path(id): Path<u32>,
    headers: HeaderMap,
    Json(AmountBody { amount }): Json<AmountBody>,
) -> Result<Response, Problem> {
    let account = AccountId(id);
    execute(&engine, id, &headers, Deposit { account, amount }).await
}

async fn withdraw(
    State(engine): State<Engine>,
    Path(id): Path<u32>,
    headers: HeaderMap,
    Json(AmountBody { amount }): Json<AmountBody>,
) -> Result<Response, Problem> {
    let account = AccountId(id);
    execute(&engine, id, &headers, Withdraw { account, amount }).await
}

/// Executes `command` with the headers of the request, and answers with the account as the command left it.
///
/// The answer depends on the receipt only. So a repeated request gets the same answer, even if the account has changed
/// since.
async fn execute<C: Decide>(
    engine: &Engine,
    id: u32,
    headers: &HeaderMap,
    command: C,
) -> Result<Response, Problem> {
    let mut call = engine.execute(command);
    if let Some(key) = header_text(headers, IDEMPOTENCY_KEY)? {
        call = call.idempotency_key(key);
    }
    let required = header_text(headers, "if-match")?;
    if let Some(etag) = required {
        call = call.expected_version(version_of(etag)?);
    }
    let receipt = match call.await {
        Err(ExecuteError::Conflict { conflict, .. }) if required.is_some() => {
            let detail = format!("the account has changed: {conflict}");
            let status = StatusCode::PRECONDITION_FAILED;
            return Err(Problem::new(status, "version-mismatch", detail));
        }
        executed => executed?,
    };
    let version = receipt.version();
    let account = AccountId(id);
    let account = engine.load::<Account>(&account).at_version(version).await?;
    let mut response = answer(StatusCode::OK, &account, etag(version));
    if receipt.repeated() {
        let replayed = HeaderValue::from_static("true");
        response.headers_mut().insert(REPLAYED, replayed);
    }
    Ok(response)
}

fn answer(status: StatusCode, account: &Account, etag: HeaderValue) -> Response {
    let body = serde_json::json!({ "customer": account.customer, "balance": account.balance });
    (status, [(header::ETAG, etag)], Json(body)).into_response()
}

/// Returns the strong ETag of an account: its version, which changes with every event.
fn etag(version: Version) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Returns the version in an ETag of [`etag`].
fn version_of(etag: &str) -> Result<Version, Problem> {
    let number = etag
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let number = number.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let version = number.and_then(|text| text.parse().ok());
    version.map(Version::new).ok_or_else(|| {
        let detail =
            "invalid `If-Match`: expected the ETag of an earlier answer, for example \"3\"";
        Problem::new(StatusCode::BAD_REQUEST, "invalid-request", detail)
    })
}

/// Returns the value of a header that occurs at most once.
fn header_text<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    match (first.map(HeaderValue::to_str).transpose(), second) {
        (Ok(text), None) => Ok(text),
        _ => {
            let detail = format!("invalid header `{name}`: expected one value of ASCII characters");
            Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "invalid-request",
                detail,
            ))
        }
    }
}
