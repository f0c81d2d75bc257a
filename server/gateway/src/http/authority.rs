//! `/ca`: how a device is told to trust this server's own certificate authority. Nothing here is
//! secret, and whoever comes is not trusted yet, so nobody is asked who he is.

use super::origin::Site;
use super::problem::Problem;
use super::{Names, missing, static_files};
use crate::tls::authority::Root;
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use qrcodegen::{QrCode, QrCodeEcc};
use std::fmt::Write as _;

/// Around a code nothing may stand, so wide in its squares.
const QUIET: i32 = 4;

fn root(names: &Names) -> Result<&Root, Problem> {
    names.authority.as_deref().ok_or_else(|| {
        let detail = "this server has no certificate authority of its own; its certificate comes \
                      from elsewhere, or from a proxy in front of it";
        Problem::new(StatusCode::NOT_FOUND, "No certificate authority", detail)
    })
}

/// The page, with the authority's name and fingerprint written in.
pub(super) async fn page(
    State(names): State<Names>,
    Extension(site): Extension<Site>,
    headers: HeaderMap,
) -> Response {
    let (Ok(root), Some(page)) = (root(&names), static_files::page("ca.html")) else {
        return missing(&headers, "/ca");
    };
    let page = page
        .replace("<!--name-->", &escaped(&root.name))
        .replace("<!--fingerprint-->", &root.fingerprint.replace(':', ":<wbr>"))
        .replace("<!--address-->", &escaped(&site.address("/ca")));
    let headers =
        [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (headers, page).into_response()
}

/// The certificate as text, which every system takes.
pub(super) async fn pem(State(names): State<Names>) -> Result<Response, Problem> {
    Ok(download("lattice-ca.crt", root(&names)?.pem.clone().into_bytes()))
}

/// The certificate as it is.
pub(super) async fn der(State(names): State<Names>) -> Result<Response, Problem> {
    Ok(download("lattice-ca.der", root(&names)?.der.clone()))
}

fn download(name: &str, bytes: Vec<u8>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/x-x509-ca-cert".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, bytes).into_response()
}

/// The page's address, for cameras.
pub(super) async fn code(
    State(names): State<Names>,
    Extension(site): Extension<Site>,
) -> Result<Response, Problem> {
    root(&names)?;
    let address = site.address("/ca");
    let code = QrCode::encode_text(&address, QrCodeEcc::Medium).map_err(|_| {
        let detail = format!("{address} is too long for a code");
        Problem::new(StatusCode::NOT_FOUND, "No code", detail)
    })?;
    let headers = [(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, picture(&code)).into_response())
}

/// Dark squares on white in every colour scheme: cameras want it so.
fn picture(code: &QrCode) -> String {
    let size = code.size() + 2 * QUIET;
    let mut squares = String::new();
    for y in 0..code.size() {
        let dark = (0..code.size()).filter(|x| code.get_module(*x, y));
        for x in dark {
            let _ = write!(squares, "M{} {}h1v1h-1z", x + QUIET, y + QUIET);
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {size} {size}\" \
         shape-rendering=\"crispEdges\"><rect width=\"{size}\" height=\"{size}\" fill=\"#fff\"/>\
         <path d=\"{squares}\" fill=\"#000\"/></svg>"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_its_three_corners_and_room_around() {
        let code = QrCode::encode_text("https://box:8443/ca", QrCodeEcc::Medium).expect("short");
        let svg = picture(&code);
        let size = code.size() + 2 * QUIET;
        assert!(svg.contains(&format!("viewBox=\"0 0 {size} {size}\"")), "{svg}");
        assert!(svg.contains("d=\"M4 4h1v1h-1z"), "{svg}");
        let corner = format!("M{} 4h1v1h-1z", size - QUIET - 1);
        assert!(svg.contains(&corner), "{svg}");
        assert!(!svg.contains("style"), "{svg}");
    }

    #[test]
    fn the_page_has_a_place_for_all_that_is_written_into_it() {
        let page = static_files::page("ca.html").expect("the page");
        for place in ["<!--name-->", "<!--fingerprint-->", "<!--address-->"] {
            assert!(page.contains(place), "{place}");
        }
        assert_eq!(escaped("<a & \"b\">"), "&lt;a &amp; &quot;b&quot;&gt;");
    }
}
