//! What a desktop is made of: one of the broker's own templates, or a text that was sent with its start.
//! That is kept in the session's directory, so that it holds for as long as the desktop does, whoever
//! restarts meanwhile.

use super::{App, Desktops, Found, MAX_APP_NAME, Order, Template, USUAL_GRACE};
use crate::runtime::RuntimeError;
use crate::template::{self, is_own_image, read_sent};
use lattice_engine::session::SessionId;
use std::borrow::Cow;
use std::time::Duration;

/// A template that was read, and the text that was sent of it.
pub(super) struct Recipe<'a> {
    pub(super) template: Cow<'a, Template>,
    pub(super) text: Option<&'a str>,
    /// Of that text.
    pub(super) digest: Option<String>,
}

impl Desktops {
    /// What is to be made. A text is read as a file is, and refused as one.
    pub(super) fn ordered<'a>(&'a self, order: &'a Order) -> Result<Recipe<'a>, RuntimeError> {
        let Some(text) = &order.text else {
            let template = Cow::Borrowed(self.template(&order.template)?);
            return Ok(Recipe { template, text: None, digest: None });
        };
        let template = read_sent(&order.template, text).map_err(RuntimeError::Refused)?;
        let digest = Some(template::digest(text));
        Ok(Recipe { template: Cow::Owned(template), text: Some(text), digest })
    }

    /// Whoever sends a text chooses among the images of Lattice's own, of the broker's own templates, and
    /// of signed catalogues: not among all that happen to be on the machine. It is asked when an app opens,
    /// so that a desktop with one that may not does start: it may have come of a backup.
    pub(super) fn check_image(&self, app: &str, image: &str) -> Result<(), RuntimeError> {
        let own = self.settings.templates.values();
        check_image((app, image), own, |image| self.pulls.has_admitted(image))
    }

    /// What a desktop was made of that is there.
    pub(super) fn made_of<'a>(
        &'a self,
        session: &SessionId,
        found: &Found,
    ) -> Result<Cow<'a, Template>, RuntimeError> {
        if found.recipe.is_none() {
            return self.template(&found.template).map(Cow::Borrowed);
        }
        let text = self.place(session).recipe()?.ok_or_else(|| {
            RuntimeError::Refused(format!(
                "what the desktop {session} is made of is gone; restart it"
            ))
        })?;
        read_sent(&found.template, &text).map(Cow::Owned).map_err(RuntimeError::Refused)
    }

    /// The text that it was made of, where it was sent.
    pub(in crate::broker) fn recipe_of(
        &self,
        session: &SessionId,
    ) -> Result<Option<String>, RuntimeError> {
        self.place(session).recipe()
    }

    fn template(&self, name: &str) -> Result<&Template, RuntimeError> {
        self.settings.templates.get(name).ok_or_else(|| {
            let all: Vec<_> = self.settings.templates.keys().map(String::as_str).collect();
            RuntimeError::Refused(format!(
                "there is no template {name}; there are {}",
                all.join(", ")
            ))
        })
    }
}

fn check_image<'a>(
    (app, image): (&str, &str),
    own: impl Iterator<Item = &'a Template>,
    is_admitted: impl Fn(&str) -> bool,
) -> Result<(), RuntimeError> {
    let mut own = own.flat_map(|own| own.apps.values());
    match is_own_image(image) || own.any(|own| own.image == image) || is_admitted(image) {
        true => Ok(()),
        false => Err(foreign(app, image)),
    }
}

fn foreign(app: &str, image: &str) -> RuntimeError {
    RuntimeError::Unusable {
        what: format!(
            "the app {app} is to be made of {image}, which is none of Lattice's own images, and was not \
             installed of a signed catalogue"
        ),
        remedy: "have an administrator install it of a signed catalogue (lattice catalogue add), or name \
                 it in a template among the server's own files (desktops.templates)"
            .into(),
    }
}

/// How long an app may take to end. What it was made from may have gone.
pub(super) fn grace(template: Option<&Template>, app: &str) -> Duration {
    let app = template.and_then(|template| template.apps.get(app));
    app.map_or(USUAL_GRACE, |app| app.stop_grace)
}

/// An app of a template.
pub(super) fn app<'a>(template: &'a Template, name: &str) -> Result<&'a App, RuntimeError> {
    template.apps.get(name).filter(|_| name.len() <= MAX_APP_NAME).ok_or_else(|| {
        let name: String = name.chars().filter(|c| !c.is_control()).take(MAX_APP_NAME).collect();
        let all: Vec<_> = template.apps.keys().map(String::as_str).collect();
        let all = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
        RuntimeError::Refused(format!("there is no app {name} on this desktop; there are: {all}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(image: &str) -> Template {
        let text = format!(
            "name: go\nservices: {{code: {{image: '{image}'}}}}\nx-lattice: {{title: Go, apps: {{code: \
             {{title: Code}}}}, permissions: {{code: {{data: read}}}}}}\n"
        );
        read_sent("go", &text).expect("a template")
    }

    #[test]
    fn a_text_that_is_sent_names_only_images_that_the_administrator_chose() {
        let pinned = |name: &str| format!("{name}@sha256:{}", "0a".repeat(32));
        let (own, admitted, other) = (pinned("r.example/own"), pinned("draw"), pinned("evil"));
        let templates = [template(&own)];
        let check =
            |image: &str| check_image(("code", image), templates.iter(), |image| image == admitted);
        for good in ["lattice/terminal", "lattice/anything", &own, &admitted] {
            assert!(check(good).is_ok(), "{good}");
        }
        // It may well be on the machine.
        for bad in [&other, &pinned("lattice/terminal"), &pinned("r.example/draw")] {
            let error = check(bad).expect_err("refused").to_string();
            for part in
                [bad.as_str(), "the app code", "lattice catalogue add", "desktops.templates"]
            {
                assert!(error.contains(part), "{part:?} is not in {error}");
            }
        }
    }
}
