//! What passes between a browser and a program whose pages it looks at. The program believes that it is
//! asked on its own machine, as development servers want it; it learns no secret of the server's, and
//! can plant none.

use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Of one connection, not of the message (RFC 9110 §7.6.1), and what a proxy in front has added.
const HOP: [&str; 14] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];
/// What would outlive the preview, or end what is not the program's: its origin is the server's to keep.
const NOT_THEIRS: [&str; 5] =
    ["clear-site-data", "strict-transport-security", "public-key-pins", "alt-svc", "report-to"];
/// Cookies of the server's begin so, wherever they are from.
const OWN: [&str; 4] = ["lattice", "__Host-lattice", "__Host-Http-lattice", "__Secure-lattice"];

/// Makes of a browser's headers those for the program on `port`; `origin` is the preview's. Whether it
/// asks for another protocol, and which.
/// Where the preview has the port `own` to itself, cookies come from all ports of the host.
pub(super) fn to_program(
    headers: &mut HeaderMap,
    port: u16,
    origin: &str,
    own: Option<u16>,
) -> Option<HeaderValue> {
    let upgrade = upgrade_of(headers);
    drop_hops(headers);
    let local = format!("localhost:{port}");
    let is_own = |name: &str| OWN.iter().any(|own| starts_with(name, own));
    let cookies: Vec<String> = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .map(str::trim)
        .filter(|pair| !pair.is_empty() && !is_own(pair))
        .filter_map(|pair| match own {
            Some(own) => pair.strip_prefix(&mark(own)),
            None => Some(pair),
        })
        .map(str::to_owned)
        .collect();
    headers.remove(header::COOKIE);
    if !cookies.is_empty()
        && let Ok(line) = HeaderValue::try_from(cookies.join("; "))
    {
        headers.insert(header::COOKIE, line);
    }
    for name in [header::ORIGIN, header::REFERER] {
        let own = headers.get(&name).and_then(|value| value.to_str().ok()?.strip_prefix(origin));
        match own.and_then(|rest| HeaderValue::try_from(format!("http://{local}{rest}")).ok()) {
            Some(value) => drop(headers.insert(name, value)),
            None => drop(headers.remove(name)),
        }
    }
    if let Ok(host) = HeaderValue::try_from(local) {
        headers.insert(header::HOST, host);
    }
    if let Some(protocol) = &upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol.clone());
    }
    upgrade
}

/// Makes of a program's headers those for the browser.
pub(super) fn to_browser(headers: &mut HeaderMap, port: u16, is_upgrade: bool, own: Option<u16>) {
    let upgrade = upgrade_of(headers);
    drop_hops(headers);
    NOT_THEIRS.iter().for_each(|name| drop(headers.remove(*name)));
    let cookies: Vec<HeaderValue> = headers
        .get_all(header::SET_COOKIE)
        .iter()
        .filter(|cookie| may_set(cookie))
        .filter_map(|cookie| match own {
            Some(own) => HeaderValue::try_from(format!(
                "{}{}",
                mark(own),
                cookie.to_str().ok()?.trim_start()
            ))
            .ok(),
            None => Some(cookie.clone()),
        })
        .collect();
    headers.remove(header::SET_COOKIE);
    for cookie in cookies {
        headers.append(header::SET_COOKIE, cookie);
    }
    if let Some(path) = headers.get(header::LOCATION).and_then(|value| local_path(value, port)) {
        headers.insert(header::LOCATION, path);
    }
    headers.insert(HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex"));
    if own.is_some() {
        // Another preview may have the port one day.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    let resources = HeaderName::from_static("cross-origin-resource-policy");
    headers.insert(resources, HeaderValue::from_static("same-origin"));
    if is_upgrade && let Some(protocol) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol);
    }
}

/// What the names of a program's cookies begin with in browsers, which send those of all ports to all.
fn mark(own: u16) -> String {
    format!("preview-{own}-")
}

/// Which protocol is asked for, where `Connection` says so, too.
fn upgrade_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let lists = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let mut tokens = lists.flat_map(|list| list.split(','));
    let is_asked = tokens.any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    headers.get(header::UPGRADE).filter(|_| is_asked).cloned()
}

fn drop_hops(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    named.iter().for_each(|name| drop(headers.remove(name)));
    HOP.iter().for_each(|name| drop(headers.remove(*name)));
}

/// Whether a program may have a browser keep a cookie: none for other hosts, none that looks like ours.
fn may_set(cookie: &HeaderValue) -> bool {
    let Ok(text) = cookie.to_str() else { return false };
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let is_own = OWN.iter().any(|own| starts_with(name, own));
    let is_wide = parts.any(|part| starts_with(part, "domain"));
    !is_own && !is_wide
}

fn starts_with(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}

/// The path of an address on the program's own machine and port, where it is one.
fn local_path(location: &HeaderValue, port: u16) -> Option<HeaderValue> {
    let text = location.to_str().ok()?;
    let hosts = ["localhost", "127.0.0.1", "[::1]"];
    let rest = hosts.iter().find_map(|host| text.strip_prefix(&format!("http://{host}:{port}")))?;
    let path = match rest.as_bytes().first() {
        None => "/".to_owned(),
        Some(b'/') => rest.to_owned(),
        Some(b'?' | b'#') => format!("/{rest}"),
        // Another port that begins with the same digits.
        Some(_) => return None,
    };
    HeaderValue::try_from(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &str = "http://5173--abcdefghijklmnop.localhost:8080";

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name: HeaderName = name.parse().expect("a name");
            headers.append(name, HeaderValue::try_from(*value).expect("a value"));
        }
        headers
    }

    fn all(headers: &HeaderMap, name: &str) -> Vec<String> {
        let values = headers.get_all(name).iter();
        values.map(|value| value.to_str().expect("text").to_owned()).collect()
    }

    #[test]
    fn a_program_is_asked_as_on_its_own_machine_and_learns_no_secret() {
        let mut asked = headers(&[
            ("host", "5173--abcdefghijklmnop.localhost:8080"),
            ("origin", ORIGIN),
            ("referer", &format!("{ORIGIN}/page?a=b")),
            ("cookie", "theme=dark; lattice-preview-8080=secret; __Host-Http-lattice-8080=more"),
            ("cookie", "LATTICE-device=x; id=7"),
            ("connection", "keep-alive, x-private"),
            ("x-private", "of this hop"),
            ("x-forwarded-for", "192.0.2.1"),
            ("accept", "text/html"),
        ]);
        assert_eq!(to_program(&mut asked, 5173, ORIGIN, None), None);
        assert_eq!(all(&asked, "host"), ["localhost:5173"]);
        assert_eq!(all(&asked, "origin"), ["http://localhost:5173"]);
        assert_eq!(all(&asked, "referer"), ["http://localhost:5173/page?a=b"]);
        assert_eq!(all(&asked, "cookie"), ["theme=dark; id=7"]);
        assert_eq!(all(&asked, "accept"), ["text/html"]);
        for gone in ["connection", "x-private", "x-forwarded-for"] {
            assert!(!asked.contains_key(gone), "{gone}");
        }
    }

    #[test]
    fn an_upgrade_is_passed_on_and_a_foreign_origin_is_not() {
        let mut asked = headers(&[
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("origin", "https://evil.example"),
            ("sec-websocket-key", "k"),
        ]);
        let upgrade = to_program(&mut asked, 5173, ORIGIN, None).expect("it asks for one");
        assert_eq!(upgrade, "websocket");
        assert_eq!(all(&asked, "connection"), ["upgrade"]);
        assert_eq!(all(&asked, "sec-websocket-key"), ["k"]);
        assert!(!asked.contains_key("origin"));
        let mut half = headers(&[("upgrade", "websocket")]);
        assert_eq!(to_program(&mut half, 5173, ORIGIN, None), None);
    }

    #[test]
    fn a_program_plants_nothing_beyond_its_own_origin() {
        let mut told = headers(&[
            ("set-cookie", "id=7; Path=/; HttpOnly"),
            ("set-cookie", "wide=1; Domain=localhost"),
            ("set-cookie", "wide=1; dOmAiN=.localhost; Path=/"),
            ("set-cookie", "lattice-preview-8080=forged"),
            ("set-cookie", "__host-lattice-8080=forged; Secure; Path=/"),
            ("clear-site-data", "\"*\""),
            ("strict-transport-security", "max-age=9"),
            ("location", "http://localhost:5173/next?x"),
            ("transfer-encoding", "chunked"),
        ]);
        to_browser(&mut told, 5173, false, None);
        assert_eq!(all(&told, "set-cookie"), ["id=7; Path=/; HttpOnly"]);
        assert_eq!(all(&told, "location"), ["/next?x"]);
        assert_eq!(all(&told, "cross-origin-resource-policy"), ["same-origin"]);
        for gone in ["clear-site-data", "strict-transport-security", "transfer-encoding"] {
            assert!(!told.contains_key(gone), "{gone}");
        }
        for (from, to) in [
            ("http://127.0.0.1:5173", "/"),
            ("http://[::1]:5173?q", "/?q"),
            ("http://localhost:51730/x", "http://localhost:51730/x"),
            ("https://elsewhere.example/", "https://elsewhere.example/"),
            ("/same", "/same"),
        ] {
            let mut told = headers(&[("location", from)]);
            to_browser(&mut told, 5173, false, None);
            assert_eq!(all(&told, "location"), [to], "{from}");
        }
    }

    #[test]
    fn on_a_port_a_program_gets_its_own_cookies_and_sets_no_others() {
        let mut asked = headers(&[(
            "cookie",
            "preview-20100-id=7; preview-20101-id=8; theme=dark; lattice-8080=s; \
             preview-20100-lattice=9; lattice-preview-20100=t; __Host-lattice-8080=u",
        )]);
        to_program(&mut asked, 5173, ORIGIN, Some(20100));
        assert_eq!(all(&asked, "cookie"), ["id=7; lattice=9"]);
        let mut told = headers(&[
            ("set-cookie", "id=7; Path=/; HttpOnly"),
            ("set-cookie", "lattice-8080=forged"),
            ("set-cookie", "__Host-lattice-8080=forged; Secure; Path=/"),
            ("set-cookie", " lattice-preview-20101=forged"),
            ("set-cookie", "preview-20101-id=forged"),
            ("set-cookie", "wide=1; Domain=desk.example"),
            ("cache-control", "max-age=31536000"),
        ]);
        to_browser(&mut told, 5173, false, Some(20100));
        let kept =
            ["preview-20100-id=7; Path=/; HttpOnly", "preview-20100-preview-20101-id=forged"];
        assert_eq!(all(&told, "set-cookie"), kept);
        assert_eq!(all(&told, "cache-control"), ["no-store"]);
    }
}
