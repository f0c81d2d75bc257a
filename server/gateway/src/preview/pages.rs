//! What is shown where a program's own pages cannot be. It is of the preview's origin, so it needs
//! nothing from the server's.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

/// How soon the browser looks again whether a program answers, in seconds.
const LOOK_AGAIN_S: &str = "2";
const FRAME: &str = include_str!("page.html");

/// A page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// Nobody listens.
    Silent { port: u16 },
    /// Somebody listens and says nothing.
    Slow { port: u16 },
    /// The app is not open.
    Closed { title: String },
    /// The desktop rests or is stopped.
    Asleep { desktop: String },
    /// No app declares that port.
    Undeclared { port: u16 },
    /// The browser keeps no cookie.
    NoCookie,
}

impl Page {
    pub(super) fn response(&self) -> Response {
        let (status, is_tried_again) = match self {
            Self::Silent { .. } | Self::Closed { .. } => (StatusCode::BAD_GATEWAY, true),
            Self::Slow { .. } => (StatusCode::GATEWAY_TIMEOUT, false),
            Self::Asleep { .. } => (StatusCode::SERVICE_UNAVAILABLE, true),
            Self::Undeclared { .. } => (StatusCode::NOT_FOUND, false),
            Self::NoCookie => (StatusCode::FORBIDDEN, false),
        };
        let (title, text, link) = self.words();
        let link = link.map_or(String::new(), |(to, name)| {
            format!("<p><a href=\"{}\">{name}</a></p>", escaped(to))
        });
        let again = if is_tried_again {
            "<p class=\"quiet\">This page looks again by itself.</p>"
        } else {
            ""
        };
        let html = FRAME
            .replace("{{title}}", &escaped(&title))
            .replace("{{text}}", &escaped(&text))
            .replace("{{more}}", &format!("{link}{again}"));
        let headers = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (
                header::CONTENT_SECURITY_POLICY,
                "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
                 frame-ancestors 'none'",
            ),
        ];
        let mut response = (status, headers, html).into_response();
        if is_tried_again {
            let name = HeaderName::from_static("refresh");
            response.headers_mut().insert(name, HeaderValue::from_static(LOOK_AGAIN_S));
        }
        response
    }

    fn words(&self) -> (String, String, Option<(&str, &'static str)>) {
        match self {
            Self::Silent { port } => (
                format!("Nothing answers on port {port} yet"),
                "Start the program on the desktop, for example in the terminal of VS Code; its pages \
                 then appear here."
                    .into(),
                None,
            ),
            Self::Slow { port } => (
                format!("The program on port {port} does not answer"),
                "It took the question two minutes ago and has said nothing since. Look at its terminal \
                 on the desktop, then load this page again."
                    .into(),
                None,
            ),
            Self::Closed { title } => (
                format!("{title} is closed"),
                format!("The program ran in {title}. Open {title} on the desktop and start the program again."),
                None,
            ),
            Self::Asleep { desktop } => (
                "The desktop rests".into(),
                "Nobody has worked at it for a while, or it was stopped. Its programs answer once it \
                 runs."
                    .into(),
                Some((desktop, "Open the desktop")),
            ),
            Self::Undeclared { port } => (
                format!("There is no preview of port {port}"),
                format!(
                    "No app of this desktop declares port {port}. Start the program on a port that one \
                     does; the desktop's page lists them."
                ),
                None,
            ),
            Self::NoCookie => (
                "This browser keeps no cookies for previews".into(),
                "A preview needs one, so that nobody else can look at it. Allow cookies for this \
                 address, then open the preview again."
                    .into(),
                None,
            ),
        }
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    #[tokio::test]
    async fn a_title_is_text_and_never_markup() {
        let page = Page::Closed { title: "<script>alert('1')</script>".into() };
        let response = page.response();
        assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
        assert_eq!(response.headers()["refresh"], LOOK_AGAIN_S);
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        let html = String::from_utf8(body.to_vec()).expect("text");
        assert!(html.contains("&lt;script&gt;") && !html.contains("<script"), "{html}");
        assert!(!html.contains("{{"), "{html}");
    }
}
