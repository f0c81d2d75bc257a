//! The web client, from the binary itself.

use super::problem::Problem;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// RFC 8246: not even a reload asks again.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// Pages that would have to go up further name their files from the top.
const DEEPEST: usize = 32;

/// A file of `web/`.
struct Asset {
    path: &'static str,
    content_type: &'static str,
    tag: &'static str,
    plain: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

/// The file at `path`, in the best encoding that the client takes, or 304 where it has it. Below
/// `@RELEASE/` it is one that never changes; a page of another release gets today's files, and asks
/// for them each time.
pub(super) fn file(path: &str, method: &Method, headers: &HeaderMap) -> Option<Response> {
    let (release, path) = match path.strip_prefix('@') {
        Some(versioned) => versioned.split_once('/')?,
        None => ("", path),
    };
    let asset = find(path)?;
    if method != Method::GET && method != Method::HEAD {
        let detail = format!("{path} is a file; it can be read by GET and HEAD only");
        let mut refused =
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", detail)
                .into_response();
        refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Some(refused);
    }
    let mut response = answer(asset, headers);
    if release == RELEASE {
        response.headers_mut().insert(header::CACHE_CONTROL, FOR_EVER);
    }
    Some(response)
}

/// The designed page for what is not there, or nothing where the build has none. What it loads is
/// named by going up from `path`: a proxy may have put all of it below another.
pub(super) fn not_found_page(headers: &HeaderMap, path: &str) -> Option<Response> {
    let html = headers.get(header::ACCEPT)?.to_str().ok()?.contains("text/html");
    let page = page("404.html").filter(|_| html)?;
    let up = match path.matches('/').count() {
        0 | 1 => "./".to_owned(),
        depth @ 2..=DEEPEST => "../".repeat(depth - 1),
        _ => "/".to_owned(),
    };
    let page = page.replace("=\"/", &format!("=\"{up}"));
    let headers =
        [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    Some((StatusCode::NOT_FOUND, headers, page).into_response())
}

/// A page into which something is written before it is sent; the places are HTML comments.
pub(super) fn page(path: &str) -> Option<&'static str> {
    str::from_utf8(find(path)?.plain).ok()
}

fn find(path: &str) -> Option<&'static Asset> {
    let place = ASSETS.binary_search_by(|asset| asset.path.cmp(path)).ok()?;
    ASSETS.get(place)
}

fn answer(asset: &'static Asset, headers: &HeaderMap) -> Response {
    let (body, encoding) = choose(asset, headers);
    let tag = match encoding {
        Some(encoding) => format!("\"{}-{encoding}\"", asset.tag),
        None => format!("\"{}\"", asset.tag),
    };
    let known = is_known(&tag, headers);
    let mut response = match known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Body::from(body).into_response(),
    };
    let out = response.headers_mut();
    if !known {
        out.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
        if let Some(encoding) = encoding {
            out.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
    }
    if let Ok(tag) = HeaderValue::try_from(tag) {
        out.insert(header::ETAG, tag);
    }
    out.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    // A name without the release: a browser asks each time and is mostly told 304.
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn choose(asset: &Asset, headers: &HeaderMap) -> (&'static [u8], Option<&'static str>) {
    match (asset.brotli, asset.gzip) {
        (Some(brotli), _) if accepts(headers, "br") => (brotli, Some("br")),
        (_, Some(gzip)) if accepts(headers, "gzip") => (gzip, Some("gzip")),
        _ => (asset.plain, None),
    }
}

/// Whether `Accept-Encoding` names the encoding with a weight above 0.
fn accepts(headers: &HeaderMap, encoding: &str) -> bool {
    let lines = headers.get_all(header::ACCEPT_ENCODING).iter();
    lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')).any(|item| {
        let (name, weight) = item.split_once(';').unwrap_or((item, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|q| q.trim().parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case(encoding) && weight.is_none_or(|q| q > 0.0)
    })
}

/// Weak comparison, as RFC 9110 wants it for `If-None-Match`.
fn is_known(tag: &str, headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::IF_NONE_MATCH).iter();
    lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')).any(|item| {
        let item = item.trim();
        item == "*" || item.strip_prefix("W/").unwrap_or(item) == tag
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: Asset = Asset {
        path: "index.html",
        content_type: "text/html",
        tag: "abc",
        plain: b"plain",
        brotli: Some(b"br"),
        gzip: Some(b"gz"),
    };

    fn get(pairs: &[(header::HeaderName, &'static str)]) -> Response {
        static SERVED: Asset = PAGE;
        let pairs =
            pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        answer(&SERVED, &HeaderMap::from_iter(pairs))
    }

    fn encoding(accept: &'static str) -> Option<String> {
        let response = get(&[(header::ACCEPT_ENCODING, accept)]);
        let value = response.headers().get(header::CONTENT_ENCODING)?;
        Some(value.to_str().expect("ascii").to_owned())
    }

    #[test]
    fn the_best_accepted_encoding_is_chosen() {
        assert_eq!(encoding("gzip, deflate, br, zstd").as_deref(), Some("br"));
        assert_eq!(encoding("gzip;q=0.5, br;q=0").as_deref(), Some("gzip"));
        assert_eq!(encoding("GZIP").as_deref(), Some("gzip"));
        assert_eq!(encoding("zstd"), None);
        assert_eq!(encoding(""), None);
    }

    #[test]
    fn a_known_tag_is_answered_with_304_and_no_type() {
        for (tag, status) in [
            ("\"abc\"", StatusCode::NOT_MODIFIED),
            ("\"old\", W/\"abc\"", StatusCode::NOT_MODIFIED),
            ("*", StatusCode::NOT_MODIFIED),
            ("\"abc-br\"", StatusCode::OK),
        ] {
            assert_eq!(get(&[(header::IF_NONE_MATCH, tag)]).status(), status, "{tag}");
        }
        let both = [(header::IF_NONE_MATCH, "\"abc-br\""), (header::ACCEPT_ENCODING, "br")];
        let response = get(&both);
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(response.headers()[header::ETAG], "\"abc-br\"");
        assert!(!response.headers().contains_key(header::CONTENT_ENCODING));
    }

    fn cache_control(path: &str) -> Option<String> {
        let response = file(path, &Method::GET, &HeaderMap::new())?;
        Some(response.headers()[header::CACHE_CONTROL].to_str().expect("ascii").to_owned())
    }

    #[test]
    fn what_a_page_names_by_its_release_is_asked_for_once() {
        let page = str::from_utf8(find("index.html").expect("the page").plain).expect("UTF-8");
        let named = page.split("/static/").skip(1).filter_map(|rest| rest.split('"').next());
        for path in named {
            let told = cache_control(path).unwrap_or_else(|| panic!("{path} is not there"));
            assert!(told.contains("immutable"), "{path}: {told}");
        }
        assert!(page.contains("/static/@"), "{page}");
        for path in ["app/main.js", "@0123456789abcdef/app/main.js"] {
            assert_eq!(cache_control(path).as_deref(), Some("no-cache"), "{path}");
        }
        assert_eq!(cache_control("@"), None);
    }

    #[tokio::test]
    async fn the_page_for_what_is_missing_finds_its_files_from_any_depth() {
        let headers = [(header::ACCEPT, HeaderValue::from_static("text/html"))];
        let headers = HeaderMap::from_iter(headers);
        let deep = "/".repeat(1000);
        for (path, up) in [
            ("/x", "=\"./static/@"),
            ("/d/x", "=\"../static/@"),
            ("/a/b/", "=\"../../static/@"),
            (deep.as_str(), "=\"/static/@"),
        ] {
            let response = not_found_page(&headers, path).expect("a page");
            assert_eq!(response.status(), StatusCode::NOT_FOUND);
            let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("whole");
            let body = str::from_utf8(&body).expect("UTF-8");
            assert_eq!(body.matches(up).count(), 3, "{path}: {body}");
        }
    }

    #[test]
    fn the_table_is_sorted_so_that_it_can_be_searched() {
        assert!(ASSETS.is_sorted_by(|a, b| a.path < b.path));
    }
}
