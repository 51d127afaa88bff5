//! Calls of Code Assist, the service behind Gemini CLI.

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::failure::CliFailure;
use super::login::Login;
use crate::providers::failure::{Failure, read_json};
use crate::providers::http::{HeaderMap, Http, HttpRequest, HttpResponse, set_header};

const BASE: &str = "https://cloudcode-pa.googleapis.com/v1internal:";

/// Makes calls with the login's token.
pub struct Calls {
    /// Whose token.
    pub login: Login,
    /// Sends them.
    pub http: Http,
}

impl Calls {
    /// Calls `method` once.
    ///
    /// # Errors
    /// No login, no answer, a refusal.
    pub async fn send(&self, method: &str, body: &Value) -> Result<HttpResponse, CliFailure> {
        self.send_with(self.login.token().await?, method, body).await
    }

    /// Calls `method` and reads its answer; with a fresh token if the first one is refused.
    ///
    /// # Errors
    /// Those of [`send`](Self::send), an answer that is not JSON.
    pub async fn ask(&self, method: &str, body: &Value) -> Result<Value, CliFailure> {
        let token = self.login.token().await?;
        let response = match self.send_with(token.clone(), method, body).await {
            Err(failure) if failure.status() == Some(401) => {
                self.send_with(self.login.fresh_token(&token).await?, method, body).await
            }
            answer => answer,
        };
        Ok(read_json(response?).await?)
    }

    async fn send_with(&self, token: SecretString, method: &str, body: &Value) -> Result<HttpResponse, CliFailure> {
        let mut headers = HeaderMap::new();
        set_header(&mut headers, "Authorization", &format!("Bearer {}", token.expose_secret()))
            .and_then(|()| set_header(&mut headers, "Content-Type", "application/json"))
            .map_err(Failure::from)?;
        let request = HttpRequest { retries: 0, ..HttpRequest::post(format!("{BASE}{method}"), headers, body) };
        self.http.send(request).await.map_err(|failure| CliFailure::Answer(failure.into(), token))
    }
}
