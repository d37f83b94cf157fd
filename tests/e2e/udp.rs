//! UDP echo: each datagram whole, to who sent it, from where it was sent to, and no loops.
