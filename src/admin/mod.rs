//! Admin endpoint: `/metrics`, `/healthz`, `/readyz`.
