//! Images, as the engine has them.

use super::Engine;
use crate::runtime::RuntimeError;
use bollard::errors::Error;
use bollard::models::{CreateImageInfo, ImageInspect, ImageSummary};
use bollard::query_parameters::{
    CreateImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptionsBuilder,
};
use futures_util::Stream;

impl Engine {
    pub(in crate::broker) async fn image(
        &self,
        name: &str,
    ) -> Result<Option<ImageInspect>, RuntimeError> {
        match self.docker().await?.inspect_image(name).await {
            Ok(image) => Ok(Some(image)),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(self.explain(error)),
        }
    }

    /// An image that is named by a digest: that of its manifest, as registries know it, or its own, which
    /// one has that came by `docker load`. Both are digests of all that is in it.
    pub(in crate::broker) async fn pinned_image(
        &self,
        name: &str,
    ) -> Result<Option<ImageInspect>, RuntimeError> {
        let Some((_, digest)) = name.split_once('@') else { return Ok(None) };
        let by_manifest = |image: &ImageInspect| {
            let digests = image.repo_digests.iter().flatten();
            digests.filter_map(|known| known.split_once('@')).any(|(_, known)| known == digest)
        };
        if let Some(image) = self.image(name).await?.filter(by_manifest) {
            return Ok(Some(image));
        }
        let own = self.image(digest).await?;
        Ok(own.filter(|image| image.id.as_deref() == Some(digest)))
    }

    /// All images that have a name, or had one.
    pub(in crate::broker) async fn images(&self) -> Result<Vec<ImageSummary>, RuntimeError> {
        let options = ListImagesOptionsBuilder::default().build();
        let docker = self.docker().await?;
        docker.list_images(Some(options)).await.map_err(|error| self.explain(error))
    }

    /// Removes an image with all of its names; the engine refuses one that a container is of.
    pub(in crate::broker) async fn remove_image(&self, id: &str) -> Result<(), RuntimeError> {
        let Some(image) = self.image(id).await? else { return Ok(()) };
        let mut names: Vec<String> = image.repo_tags.into_iter().flatten().collect();
        names.extend(image.repo_digests.into_iter().flatten());
        names.retain(|name| !name.starts_with("<none>"));
        if names.is_empty() {
            names.push(id.to_owned());
        }
        for name in names {
            let options = RemoveImageOptionsBuilder::default().build();
            match self.docker().await?.remove_image(&name, Some(options), None).await {
                // With the last of its tags its digests go.
                Ok(_) | Err(Error::DockerResponseServerError { status_code: 404, .. }) => {}
                Err(Error::DockerResponseServerError { status_code: 409, message }) => {
                    let what = format!("the image {name} is in use: {message}");
                    return Err(RuntimeError::Refused(what));
                }
                Err(error) => return Err(self.explain(error)),
            }
        }
        Ok(())
    }

    /// Fetches an image from where its name says; what the engine tells meanwhile.
    pub(in crate::broker) async fn pull(
        &self,
        image: &str,
    ) -> Result<impl Stream<Item = Result<CreateImageInfo, Error>> + use<>, RuntimeError> {
        let options = CreateImageOptionsBuilder::default().from_image(image).build();
        Ok(self.docker().await?.create_image(Some(options), None, None))
    }
}
