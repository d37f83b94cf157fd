//! To be written.

use std::{io, sync::Arc};

use crate::{listener::Listener, service::Service};

pub(crate) fn serve(_listeners: Vec<Listener>, _service: &Arc<Service>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
