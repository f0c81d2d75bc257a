//! What the API takes and gives, for programs and their authors.

use super::{
    apps, backups, catalogue, events, imports, keep, links, logins, logs, machine, pictures,
    preview_links, previews, sessions, snapshots, stock, templates, users, viewers,
};
use axum::response::{IntoResponse as _, Response};
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Lattice",
        description = "Desktops in the browser. Errors are problems as RFC 9457 has them: `detail` \
                       says what is wrong and what to do. Unknown fields are refused."
    ),
    paths(
        description,
        logins::login,
        logins::enter,
        logins::logout,
        logins::me,
        logins::set_password,
        users::list,
        users::create,
        users::change,
        users::delete,
        backups::read,
        backups::back_up,
        backups::drill,
        sessions::templates,
        catalogue::read,
        catalogue::install_mine,
        catalogue::remove_mine,
        catalogue::roll_back_mine,
        catalogue::install_for_all,
        catalogue::remove_for_all,
        catalogue::roll_back_for_all,
        imports::zip,
        imports::git,
        sessions::list,
        sessions::create,
        sessions::read,
        sessions::delete,
        keep::rename,
        keep::duplicate,
        keep::discard,
        keep::recover,
        pictures::read,
        sessions::start,
        sessions::stop,
        sessions::pause,
        sessions::restart,
        sessions::reset,
        links::list,
        links::create,
        links::revoke,
        links::redeem,
        viewers::list,
        viewers::give_control,
        apps::list,
        apps::open,
        apps::close,
        previews::list,
        previews::open,
        preview_links::list,
        preview_links::create,
        preview_links::revoke,
        logs::read,
        logs::parts,
        templates::read,
        templates::check,
        templates::apply,
        templates::versions,
        templates::version,
        templates::restore,
        snapshots::list,
        snapshots::take,
        snapshots::tree,
        snapshots::file,
        snapshots::zip,
        snapshots::restore,
        machine::figures,
        machine::checks,
        stock::images,
        stock::remove_image,
        stock::volumes,
        events::follow,
    ),
    modifiers(&Secrets),
    security(("bearer" = []), ("cookie" = [])),
)]
struct Description;

/// The two ways to say who one is.
struct Secrets;

impl utoipa::Modify for Secrets {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("bearer", bearer);
        let cookie = ApiKey::Cookie(ApiKeyValue::new("__Host-Http-lattice-<port>"));
        components.add_security_scheme("cookie", SecurityScheme::ApiKey(cookie));
    }
}

/// The document.
pub(super) fn document() -> utoipa::openapi::OpenApi {
    Description::openapi()
}

/// This description.
#[utoipa::path(
    get, path = "/api/openapi.json", tag = "server",
    responses((status = 200, content_type = "application/json"))
)]
pub(super) async fn description() -> Response {
    axum::Json(document()).into_response()
}
