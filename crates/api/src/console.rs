//! The console's files, embedded, and the way in and out of it.

use std::sync::Arc;

use axum::extract::{Form, Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use mainstay_base::{Coded, ErrorCode};
use rust_embed::Embed;
use serde::Deserialize;

use crate::access::{Caller, cookie, set_cookie};
use crate::admin::Admin;
use crate::problem::Problem;
use crate::token;

/// Built from `console/`; the set-up script makes it.
#[derive(Embed)]
#[folder = "$CARGO_MANIFEST_DIR/../../console/dist"]
struct Built;

/// Sources of `script-src`: the hashes that the built page names. The build writes them, see `console/vite.config.ts`.
pub(crate) fn script_sources() -> String {
    let page = Built::get("index.html").map(|found| found.data.into_owned()).unwrap_or_default();
    let hashes = list_integrity(&String::from_utf8_lossy(&page));
    if hashes.is_empty() { "'none'".to_owned() } else { hashes.join(" ") }
}

fn list_integrity(html: &str) -> Vec<String> {
    let values = html.split(" integrity=\"").skip(1).filter_map(|rest| rest.split('"').next());
    values.map(|hash| format!("'{hash}'")).collect()
}

#[derive(Deserialize)]
pub(crate) struct Link {
    #[serde(default)]
    token: String,
}

/// `GET /`: the console; its data needs a session, so strangers are shown the way in instead.
pub(crate) async fn index(caller: Result<Caller, Problem>) -> Response {
    match caller {
        Ok(_) => document("index.html", StatusCode::OK, &[]),
        Err(_) => document(
            "signed-out.html",
            StatusCode::UNAUTHORIZED,
            &[("{{reason}}", "You are signed out.")],
        ),
    }
}

/// `GET /assets/{file}`: hashed names keep for ever, the others are asked for again.
pub(crate) async fn asset(Path(file): Path<String>) -> Response {
    let Some(found) = Built::get(&format!("assets/{file}")) else {
        return Problem::new(ErrorCode::NotFound, "There is no such file.").into_response();
    };
    let kind = match file.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml; charset=utf-8",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    };
    let hashed = file.starts_with("index-") || file.starts_with("chunk-");
    let keep = if hashed { "private, max-age=31536000, immutable" } else { "no-cache" };
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, keep)];
    (headers, Bytes::from(found.data.into_owned())).into_response()
}

/// `GET /enter?token=…`: a page with a button. Looking at it spends nothing, so a link preview cannot use it up.
pub(crate) async fn show_enter(Query(link): Query<Link>) -> Response {
    let safe = link.token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let token = if safe { link.token.as_str() } else { "" };
    document("enter.html", StatusCode::OK, &[("{{token}}", token)])
}

/// `POST /enter`: spends the link, begins the session.
pub(crate) async fn enter(State(admin): State<Arc<Admin>>, Form(link): Form<Link>) -> Response {
    match admin.owner.spend_link(&link.token).await {
        Ok((token, session)) => {
            let lifetime = session.expires.since(admin.clock.now()).as_secs();
            let mut response = Redirect::to("/").into_response();
            if let Some(cookie) = set_cookie(token.expose(), lifetime) {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            token::show_to_browser(admin.store.seal_latest().await, response.headers_mut());
            tracing::info!("the owner signed in at the console");
            response
        }
        Err(error) if error.code() == ErrorCode::Unauthenticated => {
            tracing::warn!("a sign-in link was refused: spent, expired or unknown");
            document(
                "signed-out.html",
                StatusCode::UNAUTHORIZED,
                &[("{{reason}}", &error.public())],
            )
        }
        Err(error) => Problem::of(&error).into_response(),
    }
}

/// `POST /session/end`: signs out.
pub(crate) async fn end_session(
    State(admin): State<Arc<Admin>>,
    _caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(token) = cookie(&headers) {
        admin.owner.end_session(token).await.map_err(|error| Problem::of(&error))?;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Some(cookie) = set_cookie("", 0) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    token::show_to_browser(admin.store.seal_latest().await, response.headers_mut());
    Ok(response)
}

fn document(file: &str, status: StatusCode, fill: &[(&str, &str)]) -> Response {
    let Some(found) = Built::get(file) else {
        return Problem::new(ErrorCode::Internal, "the console is not built in").into_response();
    };
    let mut html = String::from_utf8_lossy(&found.data).into_owned();
    for (place, text) in fill {
        html = html.replace(place, text);
    }
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    (status, [kind], html).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_of_the_page_is_named_by_its_hash() {
        let page = r#"<script integrity="sha384-a+/=" src="/a.js"></script><script integrity="sha384-b" src="/b.js">"#;
        assert_eq!(list_integrity(page), ["'sha384-a+/='", "'sha384-b'"]);
        assert!(list_integrity("<p>no script</p>").is_empty());
        assert!(script_sources().starts_with("'sha384-"), "the built console has a script");
    }
}
