//! Catalogues of apps: which can be trusted, and what is wrong with the others.

use super::Finding;
use crate::catalogues::Shelf;
use crate::config::Config;

const WHAT: &str = "catalogues";

/// One line for all that are good, and one for each that is refused; nothing where there is none.
pub(super) fn catalogues(config: &Config) -> Vec<Finding> {
    match config.catalogues.library(&config.data_dir) {
        Ok(library) => judge(&library.glance()),
        Err(error) => {
            let remedy = "put in what lattice catalogue keygen printed";
            vec![Finding::fault(WHAT, format!("{error:#}"), remedy)]
        }
    }
}

fn judge(shelf: &Shelf) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !shelf.good.is_empty() {
        let told = shelf.good.iter().map(|signed| {
            let (name, serial) = (&signed.catalogue.name, signed.catalogue.serial);
            format!("{name} (serial {serial}, signed by {})", signed.by)
        });
        findings.push(Finding::ok(WHAT, told.collect::<Vec<_>>().join(", ")));
    }
    findings.extend(shelf.refused.iter().map(|refused| {
        let why = refused.why.to_string();
        let (why, remedy) = why.rsplit_once("; ").unwrap_or((&why, "lattice catalogue check"));
        Finding::warning(WHAT, format!("{} is refused: {why}", refused.name), remedy)
    }));
    findings
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;
    use crate::catalogues::tests::Scene;

    #[test]
    fn what_cannot_be_trusted_is_named() {
        let scene = Scene::new();
        assert_eq!(judge(&scene.library.glance()), []);
        scene.put(3, "1.0");
        let good = judge(&scene.library.glance());
        check(&good[0], "ok", &["apps (serial 3, signed by school)"]);
        let file = scene.library.directory.join("apps.yaml");
        let text = std::fs::read_to_string(&file).expect("read");
        std::fs::write(&file, text + "# more\n").expect("written");
        let bad = judge(&scene.library.glance());
        check(&bad[0], "warning", &["apps is refused", "was changed since", "get it again"]);
        assert!(!scene.library.seen.exists(), "a look changes nothing");
    }
}
