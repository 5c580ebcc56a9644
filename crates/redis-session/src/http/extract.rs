//! The session as an argument of axum's handlers.

use super::session::Session;
use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

/// There is no [`SessionLayer`](super::SessionLayer) for sessions of this type around the handler;
/// answered 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no layer for sessions of this type around the handler")]
pub struct MissingLayer;

impl IntoResponse for MissingLayer {
    fn into_response(self) -> Response {
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

impl<S, T, C> FromRequestParts<S> for Session<T, C>
where
    S: Send + Sync,
    T: Send + Sync + 'static,
    C: Clone + Send + Sync + 'static,
{
    type Rejection = MissingLayer;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        parts.extensions.get::<Self>().cloned().ok_or(MissingLayer)
    }
}
