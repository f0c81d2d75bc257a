//! What a browser keeps: a login's secret, and one by which its device is known again.

use super::Token;
use super::door::cookie;
use crate::http::origin::Site;
use crate::store::LIFETIME_S;
use axum::http::{HeaderMap, HeaderValue};

/// A device is remembered for longer than a login.
const DEVICE_S: i64 = 180 * 86_400;

/// The names of a server's cookies. The port is in them, because a browser sends a cookie to every
/// port of a host.
#[derive(Debug)]
pub struct Cookies {
    port: u16,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Login,
    Device,
}

impl Cookies {
    pub(super) fn new(port: u16) -> Self {
        Self { port }
    }

    /// What a request says its login is.
    pub fn login(&self, headers: &HeaderMap, site: &Site) -> Option<Token> {
        Token::parse(cookie(headers, &self.name(Kind::Login, site))?)
    }

    /// What a request says its device is.
    pub fn device(&self, headers: &HeaderMap, site: &Site) -> Option<Token> {
        Token::parse(cookie(headers, &self.name(Kind::Device, site))?)
    }

    /// `Set-Cookie` for a login.
    pub fn set_login(&self, token: &Token, site: &Site) -> Option<HeaderValue> {
        self.set(Kind::Login, token.expose(), LIFETIME_S, site)
    }

    /// `Set-Cookie` for a device.
    pub fn set_device(&self, token: &Token, site: &Site) -> Option<HeaderValue> {
        self.set(Kind::Device, token.expose(), DEVICE_S, site)
    }

    /// `Set-Cookie` that ends a login. The device stays.
    pub fn clear_login(&self, site: &Site) -> Option<HeaderValue> {
        self.set(Kind::Login, "", 0, site)
    }

    fn name(&self, kind: Kind, site: &Site) -> String {
        let kind = match kind {
            Kind::Login => "lattice",
            Kind::Device => "lattice-device",
        };
        // With the first part of the prefix no other host of the domain and no plain HTTP can plant it; with
        // the second, no script, such as that of a preview at another port of this host, where browsers
        // know that part (the others take it as a part of the name).
        let prefix = if site.takes_secure_cookies() { "__Host-Http-" } else { "" };
        format!("{prefix}{kind}-{}", self.port)
    }

    fn set(&self, kind: Kind, value: &str, max_age: i64, site: &Site) -> Option<HeaderValue> {
        let name = self.name(kind, site);
        let secure = if site.takes_secure_cookies() { "; Secure" } else { "" };
        let cookie =
            format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age}{secure}");
        let mut cookie = HeaderValue::try_from(cookie).ok()?;
        cookie.set_sensitive(true);
        Some(cookie)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::header;

    fn check(origin: &str, name: &str, secure: bool) {
        let (cookies, site) = (Cookies::new(8080), Site::new(origin));
        let token = Token::fresh().expect("random bytes");
        let set = cookies.set_login(&token, &site).expect("a header");
        assert!(!format!("{set:?}").contains(token.expose()));
        let set = set.to_str().expect("ascii").to_owned();
        assert!(set.starts_with(&format!("{name}={}; Path=/; HttpOnly", token.expose())), "{set}");
        assert!(set.contains("; SameSite=Lax; Max-Age=2592000"), "{set}");
        assert_eq!(set.ends_with("; Secure"), secure, "{set}");
        let pair = set.split(';').next().expect("a pair");
        let value = HeaderValue::from_str(&format!("a=b; {pair}")).expect("a header");
        let sent = HeaderMap::from_iter([(header::COOKIE, value)]);
        let read = cookies.login(&sent, &site).expect("it is there");
        assert_eq!(read.expose(), token.expose());
        assert!(Cookies::new(8081).login(&sent, &site).is_none());
        assert!(cookies.device(&sent, &site).is_none());
    }

    #[test]
    fn cookies_are_secure_wherever_browsers_take_them() {
        check("https://desk.example", "__Host-Http-lattice-8080", true);
        check("http://localhost:8080", "__Host-Http-lattice-8080", true);
        check("http://127.0.0.1:8080", "__Host-Http-lattice-8080", true);
        check("http://[::1]:8080", "__Host-Http-lattice-8080", true);
        check("http://192.0.2.7:8080", "lattice-8080", false);
        check("http://localhost.example:8080", "lattice-8080", false);
    }
}
