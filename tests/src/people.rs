//! People of a real `lattice serve`: accounts, share links, and how each proves who they are.

use crate::http::{Response, request};
use crate::raw::Raw;
use crate::serve::Serve;
use crate::viewer::{Viewer, ViewerOptions, upgrade_at};
use crate::wait::eventually;
use lattice_engine::session::SessionId;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::http::Request;

/// Everybody's password.
pub const PASSWORD: &str = "correct horse";

/// How somebody proves who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// Not at all.
    Nobody,
    /// As a program: by a token.
    Bearer(String),
    /// As a browser: by a cookie, from a page of this server.
    Cookie(String),
}

/// A share link.
#[derive(Debug, Clone)]
pub struct Link {
    /// Its id.
    pub id: String,
    /// What stands behind `/s/`.
    pub secret: String,
}

impl Proof {
    /// The lines that prove it, and nothing about where they come from.
    pub fn lines(&self) -> String {
        match self {
            Self::Nobody => String::new(),
            Self::Bearer(token) => format!("Authorization: Bearer {token}\r\n"),
            Self::Cookie(pair) => format!("Cookie: {pair}\r\n"),
        }
    }
}

impl Serve {
    /// What its pages come from.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The first administrator's program.
    pub fn admin(&self) -> Proof {
        Proof::Bearer(self.token().to_owned())
    }

    /// The header of a request that somebody sends from where they should.
    pub fn head(&self, who: &Proof) -> String {
        match who {
            Proof::Cookie(_) => format!("{}Origin: {}\r\n", who.lines(), self.origin()),
            Proof::Nobody | Proof::Bearer(_) => who.lines(),
        }
    }

    /// A request of somebody's.
    ///
    /// # Panics
    /// Where there is no answer.
    pub fn ask(&self, who: &Proof, method: &str, path: &str, body: &Value) -> Response {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!("{}Content-Type: application/json\r\n", self.head(who));
        request(self.address(), method, path, &head, &body)
    }

    /// The same, which must be granted; what was answered.
    ///
    /// # Panics
    /// Where it is refused.
    pub fn grant(&self, who: &Proof, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.ask(who, method, path, body);
        let granted = (200..300).contains(&answer.status);
        assert!(granted, "{method} {path}: {} {}", answer.status, answer.body);
        serde_json::from_str(&answer.body).unwrap_or(Value::Null)
    }

    /// A new account; its id.
    pub fn account(&self, name: &str, role: &str) -> String {
        let body = json!({ "name": name, "password": PASSWORD, "role": role });
        text(&self.grant(&self.admin(), "POST", "/api/v1/users", &body), "id")
    }

    /// The browser of somebody who signs in.
    ///
    /// # Panics
    /// Where they may not.
    pub fn sign_in(&self, name: &str) -> Proof {
        let body = json!({ "name": name, "password": PASSWORD });
        cookie(&self.ask(&Proof::Nobody, "POST", "/api/v1/login", &body))
    }

    /// A session of somebody's, whose desktop runs.
    pub fn desktop_of(&self, owner: &Proof) -> SessionId {
        let body = json!({ "template": "desktop" });
        let made = self.grant(owner, "POST", "/api/v1/sessions", &body);
        let session: SessionId = text(&made, "id").parse().expect("an id");
        let path = format!("/api/v1/sessions/{session}");
        eventually("the desktop to run", || {
            self.grant(owner, "GET", &path, &Value::Null)["state"] == "running"
        });
        session
    }

    /// A link to a session, with these further fields.
    pub fn link(&self, session: &SessionId, role: &str, more: Value) -> Link {
        let mut body = json!({ "role": role });
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        let path = format!("/api/v1/sessions/{session}/links");
        let made = self.grant(&self.admin(), "POST", &path, &body);
        let url = text(&made, "url");
        let secret = url.rsplit('/').next().expect("a path").to_owned();
        Link { id: text(&made, "id"), secret }
    }

    /// Swaps a link for a guest's browser.
    ///
    /// # Panics
    /// Where the link is not good.
    pub fn redeem(&self, secret: &str) -> Proof {
        let body = json!({ "token": secret });
        cookie(&self.ask(&Proof::Nobody, "POST", "/api/v1/redeem", &body))
    }

    /// The request that opens somebody's socket.
    pub fn upgrade(&self, who: &Proof, session: &SessionId) -> Request<()> {
        upgrade_at(self.address(), &format!("/ws/{session}"), &self.head(who))
    }

    /// A viewer.
    ///
    /// # Panics
    /// Where the gateway refuses.
    pub fn viewer(&self, who: &Proof, session: &SessionId) -> Viewer {
        let request = self.upgrade(who, session);
        let viewer = Viewer::try_open(request, self.address(), ViewerOptions::default());
        viewer.unwrap_or_else(|error| panic!("join: {error}"))
    }

    /// A viewer's socket, on which nothing was said yet.
    ///
    /// # Panics
    /// Where the gateway refuses.
    pub fn raw(&self, who: &Proof, session: &SessionId) -> Raw {
        Raw::open(self.address(), self.upgrade(who, session))
    }
}

/// The cookie by which a browser is signed in from here on.
fn cookie(answer: &Response) -> Proof {
    let all = answer.headers.iter().filter(|(name, _)| name == "set-cookie");
    let login = all.map(|(_, value)| value.split(';').next().unwrap_or(value));
    let login = login.into_iter().find(|pair| !pair.contains("-device-"));
    Proof::Cookie(login.unwrap_or_else(|| panic!("no cookie was set: {answer:?}")).to_owned())
}

fn text(of: &Value, field: &str) -> String {
    of[field].as_str().unwrap_or_else(|| panic!("no {field} in {of}")).to_owned()
}
