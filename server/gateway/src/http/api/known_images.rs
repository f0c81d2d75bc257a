//! Which images a session's own template may name: Lattice's own, those of the server's templates, and
//! those of catalogues. The broker judges by itself again, when a desktop is started.

use super::Api;
use crate::store::{StoreError, UserId};
use crate::template;
use std::collections::BTreeSet;

/// Images.
pub(super) struct Known(BTreeSet<String>);

impl Known {
    /// Whether it is among them.
    pub(super) fn has(&self, image: &str) -> bool {
        template::is_own_image(image) || self.0.contains(image)
    }
}

impl Api {
    /// Those that this person's desktops may be made of.
    pub(super) async fn known_images(&self, owner: UserId) -> Result<Known, StoreError> {
        let shelf = self.installer().shelf().await;
        let installed = self.store().installed_for(owner).await?;
        let bases = self.making().recipes.bases().flat_map(|base| base.apps.values());
        let offered = shelf.good.iter().flat_map(|signed| signed.catalogue.apps.values());
        let editions = installed.into_iter().flat_map(|one| [Some(one.edition), one.previous]);
        let images = bases.map(|app| app.image.clone());
        let images = images.chain(offered.map(|entry| entry.app.image.clone()));
        Ok(Known(images.chain(editions.flatten().map(|edition| edition.image)).collect()))
    }
}
