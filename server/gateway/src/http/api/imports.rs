//! What a new desktop is to begin with: a folder in one's Data, of a zip file or a Git repository.

use super::Api;
use super::answers::{Read, internal, invalid};
use super::gate::Pass;
use crate::http::problem::Problem;
use crate::snapshots::Imported;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use lattice_wire::imports::{CloneUrl, MOST_UPLOAD, ProjectName};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A new folder in one's Data.
#[derive(Serialize, ToSchema)]
#[schema(as = Import)]
pub(super) struct ImportView {
    /// What it is called, with a number where something of that name was there.
    #[schema(example = "shop")]
    folder: String,
    /// How many files are in it.
    files: u64,
    /// How long they are together.
    bytes: u64,
}

/// A repository to be cloned.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CloneRepository {
    /// Its address: of a public server, with https and without a password.
    #[schema(example = "https://git.example/ada/shop.git")]
    url: String,
    /// What the folder is to be called; else what the address ends in.
    #[schema(max_length = 80)]
    name: Option<String>,
}

/// What a zip file is called.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    /// Its name, after which the folder is called.
    name: String,
}

impl From<Imported> for ImportView {
    fn from(Imported { folder, files, bytes }: Imported) -> Self {
        Self { folder, files, bytes }
    }
}

/// Make a new folder in one's Data of a zip file, which is the body. Where the connection ends before
/// the body does, nothing is made.
#[utoipa::path(
    post, path = "/api/v1/imports/zip", tag = "imports", params(Named),
    request_body(content_type = "application/zip", content = Vec<u8>),
    responses((status = 201, body = ImportView),
        (status = 400, description = "It is no zip file, or one that could do harm, or it is too large unpacked"),
        (status = 409, description = "Very many folders have that name"),
        (status = 413, description = "It is too large"),
        (status = 429, description = "Another one is under way"),
        (status = 507, description = "No room is left"))
)]
pub(super) async fn zip(
    State(api): State<Api>,
    pass: Pass,
    named: Result<Query<Named>, QueryRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let Query(Named { name }) =
        named.map_err(|_| invalid("the query must be name=, and what the zip file is called"))?;
    if request.headers().contains_key(header::CONTENT_ENCODING) {
        let detail = "the body must come as it is, without Content-Encoding";
        let (code, title) = (StatusCode::UNSUPPORTED_MEDIA_TYPE, "Encoding not accepted");
        return Err(Problem::new(code, title, detail));
    }
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > MOST_UPLOAD) {
        let detail =
            format!("the zip file is larger than {} MB; make it smaller", MOST_UPLOAD >> 20);
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "Too large", detail));
    }
    let owner = pass.identity.user().ok_or_else(|| internal("a folder of nobody"))?.id.0;
    let body = request.into_body().into_data_stream();
    let made = api.snapshots().import(owner, ProjectName::after(&name), body).await?;
    tracing::info!(owner, files = made.files, bytes = made.bytes, "a zip file was unpacked");
    Ok((StatusCode::CREATED, Json(ImportView::from(made))).into_response())
}

/// Make a new folder in one's Data of a Git repository that everybody may read: its newest state, without
/// submodules. This may take two minutes; where the connection ends before, nothing is made.
#[utoipa::path(
    post, path = "/api/v1/imports/git", tag = "imports", request_body = CloneRepository,
    responses((status = 201, body = ImportView),
        (status = 400, description = "It cannot be cloned: the address, its server or its size are not such"),
        (status = 409, description = "Very many folders have that name"),
        (status = 429, description = "Another one is under way"),
        (status = 507, description = "No room is left"))
)]
pub(super) async fn git(
    State(api): State<Api>,
    pass: Pass,
    Read(given): Read<CloneRepository>,
) -> Result<Response, Problem> {
    let url: CloneUrl = given.url.trim().parse().map_err(|why| invalid(format!("{why}")))?;
    let name = match given.name {
        None => ProjectName::after(url.as_str()),
        Some(name) => ProjectName::try_from(name)
            .map_err(|why| invalid(format!("`name` is not understood: {why}")))?,
    };
    let owner = pass.identity.user().ok_or_else(|| internal("a folder of nobody"))?.id.0;
    let made = api.snapshots().clone_in(owner, name, &url).await?;
    tracing::info!(owner, files = made.files, bytes = made.bytes, "a repository was cloned");
    Ok((StatusCode::CREATED, Json(ImportView::from(made))).into_response())
}
