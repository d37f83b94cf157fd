//! Beside tokio-util's codecs: the same random streams give the same frames, except where a test of
//! [`differences`] says otherwise. Those show both sides, so an entry that proves untrue fails.

use std::{
    collections::VecDeque,
    io,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use bytes::{BufMut, BytesMut};
use echo_core::{
    Decoder, Delimited, FrameError, LengthDelimited,
    codec::{Compat, CompatError},
    testing::{Event, events, random_pieces},
};
use futures_util::{SinkExt, Stream, StreamExt};
use proptest::{collection::vec, prelude::*};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::codec::{
    AnyDelimiterCodec, Decoder as Theirs, Framed, FramedRead, LengthDelimitedCodec, LinesCodec,
};

/// What is compared: our errors and theirs have nothing in common but their place.
#[derive(Debug, Clone, PartialEq)]
enum Seen {
    Frame(Vec<u8>),
    Error,
    Closed,
}

/// What one of their codecs makes of a stream, without `Framed`. Stops at the first error unless
/// `resumes`.
fn theirs<D: Theirs>(mut codec: D, pieces: &[&[u8]], resumes: bool) -> Vec<Seen>
where
    D::Item: AsRef<[u8]>,
{
    let (mut buffer, mut seen) = (BytesMut::new(), Vec::new());
    for (i, piece) in pieces.iter().copied().chain([&[][..]]).enumerate() {
        buffer.put_slice(piece);
        let closed = i == pieces.len();
        loop {
            let decoded =
                if closed { codec.decode_eof(&mut buffer) } else { codec.decode(&mut buffer) };
            match decoded {
                Ok(Some(frame)) => seen.push(Seen::Frame(frame.as_ref().to_vec())),
                Ok(None) => break,
                Err(_) => {
                    seen.push(Seen::Error);
                    if !resumes {
                        return seen;
                    }
                }
            }
        }
    }
    seen.push(Seen::Closed);
    seen
}

fn ours<D: Decoder>(decoder: D, pieces: &[&[u8]], resumes: bool) -> Vec<Seen> {
    let mut seen = Vec::new();
    for event in events(decoder, pieces.iter().copied()) {
        match event {
            Event::Frame(payload) => seen.push(Seen::Frame(payload)),
            Event::Closed => seen.push(Seen::Closed),
            Event::Partial(_) => {}
            Event::Error(_) => {
                seen.push(Seen::Error);
                if !resumes {
                    break;
                }
            }
        }
    }
    seen
}

/// The length codecs of both, set up alike.
fn length_codecs(
    kind: usize,
    offset: usize,
    max: usize,
) -> (LengthDelimited, LengthDelimitedCodec) {
    let (ours, width, little) = [
        (LengthDelimited::u8(), 1, false),
        (LengthDelimited::u16(), 2, false),
        (LengthDelimited::u32(), 4, false),
        (LengthDelimited::u64(), 8, false),
        (LengthDelimited::u16_le(), 2, true),
        (LengthDelimited::u32_le(), 4, true),
        (LengthDelimited::u64_le(), 8, true),
    ][kind]
        .clone();
    let mut theirs = LengthDelimitedCodec::builder();
    theirs.length_field_length(width).length_field_offset(offset).max_frame_length(max);
    if little {
        theirs.little_endian();
    }
    (ours.field_offset(offset).max_payload(max), theirs.new_codec())
}

/// True where a stream ends right after a header: the first of the differences.
fn ends_after_a_header(events: &[Event], header: u64) -> bool {
    let truncated = |event: &Event| matches!(event, Event::Error(FrameError::Truncated { got, expected: Some(_) }) if *got == header);
    events.iter().any(truncated)
}

proptest! {
    #[test]
    fn length_prefixed_streams_give_the_same_frames(
        kind in 0_usize..7,
        offset in 0_usize..4,
        wire in vec(prop_oneof![8 => Just(0_u8), 8 => 1_u8..9, 1 => any::<u8>()], 0..200),
        seed in 1_u32..1000,
    ) {
        let (decoder, codec) = length_codecs(kind, offset, 20);
        let pieces = random_pieces(&wire, seed);
        let header = [1, 2, 4, 8, 2, 4, 8][kind] + offset as u64;
        prop_assume!(!ends_after_a_header(&events(decoder.clone(), [&wire[..]]), header));
        prop_assert_eq!(ours(decoder, &pieces, false), theirs(codec, &pieces, false));
    }

    #[test]
    fn lines_give_the_same_frames(
        wire in vec(prop_oneof![2 => Just(b'\n'), 1 => Just(b'\r'), 6 => b'a'..=b'z'], 0..200),
        seed in 1_u32..1000,
    ) {
        // A tail that ends in CR is among the differences.
        let wire = wire.strip_suffix(b"\r").unwrap_or(&wire);
        prop_assume!(!wire.ends_with(b"\r"));
        let pieces = random_pieces(wire, seed);
        let lines = Delimited::lines().allow_unterminated();
        prop_assert_eq!(ours(lines, &pieces, true), theirs(LinesCodec::new(), &pieces, true));
    }

    #[test]
    fn lines_over_the_limit_give_the_same_frames_and_errors(
        wire in vec(prop_oneof![1 => Just(b'\n'), 4 => b'a'..=b'z'], 0..200),
        seed in 1_u32..1000,
        max in 0_usize..9,
    ) {
        // Without CR, which counts for them.
        let pieces = random_pieces(&wire, seed);
        let lines = Delimited::lines().allow_unterminated().max_payload(max);
        let codec = LinesCodec::new_with_max_length(max);
        prop_assert_eq!(ours(lines, &pieces, true), theirs(codec, &pieces, true));
    }

    #[test]
    fn several_delimiters_give_the_same_frames_and_errors(
        wire in vec(prop_oneof![Just(b';'), Just(b','), b'a'..=b'f'], 0..200),
        seed in 1_u32..1000,
        max in 0_usize..9,
    ) {
        let pieces = random_pieces(&wire, seed);
        let decoder = Delimited::by_any(&[";", ","]).unwrap().allow_unterminated().max_payload(max);
        let codec = AnyDelimiterCodec::new_with_max_length(b";,".to_vec(), b";".to_vec(), max);
        prop_assert_eq!(ours(decoder, &pieces, true), theirs(codec, &pieces, true));
    }
}

/// One end has our codec in its `Framed`, the other has theirs: nobody notices.
#[tokio::test]
async fn our_codecs_talk_to_theirs_in_framed() {
    let (left, right) = tokio::io::duplex(7);
    let mut ours = Framed::new(left, Compat::new(LengthDelimited::u32()));
    let mut theirs = Framed::new(right, LengthDelimitedCodec::new());
    let payloads = [&b""[..], b"a", b"more than the pipe holds", &[0; 100]];
    let sending = async {
        for payload in payloads {
            ours.send(payload).await.unwrap();
            assert_eq!(ours.next().await.unwrap().unwrap(), payload);
        }
        SinkExt::<&[u8]>::close(&mut ours).await.unwrap();
    };
    let echoing = async {
        while let Some(payload) = theirs.next().await {
            theirs.send(payload.unwrap().freeze()).await.unwrap();
        }
    };
    tokio::join!(sending, echoing);
}

/// `map_codec` goes on where the last frame ended, with another framing.
#[tokio::test]
async fn the_framing_of_framed_may_change_between_frames() {
    let wire = &b"head\r\n\0\0\0\x04body"[..];
    let mut lines = FramedRead::new(wire, Compat::new(Delimited::lines()));
    assert_eq!(lines.next().await.unwrap().unwrap(), "head");
    let mut frames = lines.map_decoder(|_| Compat::new(LengthDelimited::u32()));
    assert_eq!(frames.next().await.unwrap().unwrap(), "body");
    assert!(frames.next().await.is_none());
}

mod differences {
    use super::*;

    const LONG: FrameError = FrameError::TooLong { max: 3, len: None };

    fn short_lines() -> Delimited {
        Delimited::lines().max_payload(3)
    }

    #[test]
    fn the_end_right_after_a_length_header_is_a_clean_end_for_them() {
        let wire: &[&[u8]] = &[b"\0\0\0\x05"];
        assert_eq!(theirs(LengthDelimitedCodec::new(), wire, false), [Seen::Closed]);
        let truncated = Event::Error(FrameError::Truncated { got: 4, expected: Some(9) });
        assert_eq!(events(LengthDelimited::u32(), wire.iter().copied())[0], truncated);
    }

    #[test]
    fn the_end_inside_a_line_that_is_discarded_is_a_clean_end_for_them() {
        let wire: &[&[u8]] = &[b"too long and cut"];
        let codec = LinesCodec::new_with_max_length(3);
        assert_eq!(theirs(codec, wire, true), [Seen::Error, Seen::Closed]);
        let truncated = Event::Error(FrameError::Truncated { got: 16, expected: None });
        assert_eq!(events(short_lines(), wire.iter().copied())[1], truncated);
    }

    #[test]
    fn cr_counts_against_their_limit() {
        let wire: &[&[u8]] = &[b"abc\r\n"];
        let codec = LinesCodec::new_with_max_length(3);
        assert_eq!(theirs(codec, wire, true), [Seen::Error, Seen::Closed]);
        assert_eq!(ours(short_lines(), wire, true), [Seen::Frame(b"abc".to_vec()), Seen::Closed]);
    }

    #[test]
    fn buffered_lines_are_held_back_after_an_oversize_error_by_their_framed() {
        let peer = || Open::new(&[b"too long\nok\n"]);
        let mut framed = pin!(FramedRead::new(peer(), LinesCodec::new_with_max_length(3)));
        assert!(matches!(next(&mut framed), Poll::Ready(Some(Err(_)))));
        assert!(matches!(next(&mut framed), Poll::Ready(None)), "a `while let` loop is over");
        assert!(
            matches!(next(&mut framed), Poll::Pending),
            "waits for bytes, with a line buffered"
        );
        assert_eq!(&framed.read_buffer()[..], b"too long\nok\n");

        let mut framed = pin!(FramedRead::new(peer(), Compat::new(short_lines()).resumable()));
        assert!(matches!(next(&mut framed), Poll::Ready(Some(Ok(Err(LONG))))));
        let ok = next(&mut framed);
        assert!(matches!(ok, Poll::Ready(Some(Ok(Ok(line)))) if line == "ok"), "at once");

        // Without `resumable`, our codec in their `Framed` is held back like theirs.
        let mut framed = pin!(FramedRead::new(peer(), Compat::new(short_lines())));
        let long = next(&mut framed);
        assert!(matches!(long, Poll::Ready(Some(Err(CompatError::Frame(LONG))))));
        assert!(matches!(next(&mut framed), Poll::Ready(None)));
        assert!(matches!(next(&mut framed), Poll::Pending));
    }

    #[test]
    fn lines_behind_two_oversize_ones_are_lost_at_the_end_by_their_framed() {
        let peer = || &b"too long\ntoo long\nok\n"[..];
        let mut framed = pin!(FramedRead::new(peer(), LinesCodec::new_with_max_length(3)));
        for _ in 0..2 {
            assert!(matches!(next(&mut framed), Poll::Ready(Some(Err(_)))));
            assert!(matches!(next(&mut framed), Poll::Ready(None)));
        }
        for _ in 0..9 {
            assert!(matches!(next(&mut framed), Poll::Ready(None)), "never comes");
        }
        assert!(framed.read_buffer().ends_with(b"ok\n"));

        let mut framed = pin!(FramedRead::new(peer(), Compat::new(short_lines()).resumable()));
        for _ in 0..2 {
            assert!(matches!(next(&mut framed), Poll::Ready(Some(Ok(Err(LONG))))));
        }
        assert!(matches!(next(&mut framed), Poll::Ready(Some(Ok(Ok(line)))) if line == "ok"));
        assert!(matches!(next(&mut framed), Poll::Ready(None)));
    }

    #[test]
    fn their_lines_have_no_limit_by_default() {
        let endless = vec![b'x'; 1 << 20];
        let mut buffer = BytesMut::from(&endless[..]);
        assert!(matches!(LinesCodec::new().decode(&mut buffer), Ok(None)));
        assert_eq!(LinesCodec::new().max_length(), usize::MAX);
        let limit = Err(FrameError::TooLong { max: 64 << 10, len: None });
        assert_eq!(Delimited::lines().decode(&endless), limit);
    }

    #[test]
    fn a_claimed_length_is_reserved_by_them() {
        let claim = &(8_u32 << 20).to_be_bytes()[..];
        let mut buffer = BytesMut::from(claim);
        assert!(matches!(LengthDelimitedCodec::new().decode(&mut buffer), Ok(None)));
        assert!(buffer.capacity() >= 8 << 20, "8 MiB for a header of 4 bytes");

        let mut buffer = BytesMut::from(claim);
        let held = buffer.capacity();
        assert!(matches!(Compat::new(LengthDelimited::u32()).decode(&mut buffer), Ok(None)));
        assert_eq!(buffer.capacity(), held);
    }

    #[test]
    fn an_oversize_frame_is_never_skipped_by_their_length_codec() {
        let mut codec = LengthDelimitedCodec::builder().max_frame_length(3).new_codec();
        let mut buffer = BytesMut::from(&b"\0\0\0\x04long\0\0\0\x02ok"[..]);
        for _ in 0..9 {
            assert!(codec.decode(&mut buffer).is_err(), "the same header again");
        }
        let wire: &[&[u8]] = &[b"\0\0\0\x04long\0\0\0\x02ok"];
        let expected = [Seen::Error, Seen::Frame(b"ok".to_vec()), Seen::Closed];
        assert_eq!(ours(LengthDelimited::u32().max_payload(3), wire, true), expected);
    }

    #[test]
    fn their_limit_is_on_the_length_field_and_not_on_the_payload() {
        // A field that counts its own byte: 4 says three bytes of payload. And one that leaves two out.
        let codec = |adjustment| {
            let mut codec = LengthDelimitedCodec::builder();
            codec.length_field_length(1).length_adjustment(adjustment).max_frame_length(3);
            codec.new_codec()
        };
        let decoder = |adjustment| LengthDelimited::u8().adjustment(adjustment).max_payload(3);
        let (fits, five): (&[&[u8]], &[&[u8]]) = (&[b"\x04abc"], &[b"\x03abcde"]);
        let frame = |payload: &[u8]| [Seen::Frame(payload.to_vec()), Seen::Closed];
        assert_eq!(theirs(codec(-1), fits, false), [Seen::Error]);
        assert_eq!(ours(decoder(-1), fits, false), frame(b"abc"));
        assert_eq!(theirs(codec(2), five, false), frame(b"abcde"), "over a limit of 3");
        assert_eq!(ours(decoder(2), five, false), [Seen::Error]);
    }

    #[test]
    fn an_unterminated_line_is_a_line_for_them_and_loses_its_cr() {
        let wire: &[&[u8]] = &[b"cut\r"];
        let frame = |payload: &[u8]| [Seen::Frame(payload.to_vec()), Seen::Closed];
        assert_eq!(theirs(LinesCodec::new(), wire, true), frame(b"cut"));
        assert_eq!(ours(Delimited::lines(), wire, false), [Seen::Error]);
        let allowed = Delimited::lines().allow_unterminated();
        assert_eq!(ours(allowed, wire, false), frame(b"cut\r"), "no LF, so the CR is data");
    }

    #[test]
    fn a_payload_that_holds_its_delimiter_is_sent_by_them() {
        use tokio_util::codec::Encoder;
        let mut wire = BytesMut::new();
        LinesCodec::new().encode("two\nlines", &mut wire).unwrap();
        assert_eq!(theirs(LinesCodec::new(), &[&wire], true).len(), 3, "arrives as two");
        let refused = Compat::new(Delimited::lines()).encode("two\nlines", &mut wire);
        assert!(matches!(refused, Err(CompatError::Encode(_))));
    }

    #[test]
    fn a_line_that_is_not_utf_8_is_lost_by_them() {
        let wire: &[&[u8]] = &[b"caf\xe9\nok\n"];
        let ok = Seen::Frame(b"ok".to_vec());
        assert_eq!(theirs(LinesCodec::new(), wire, true), [Seen::Error, ok.clone(), Seen::Closed]);
        let cafe = Seen::Frame(b"caf\xe9".to_vec());
        assert_eq!(ours(Delimited::lines(), wire, true), [cafe, ok, Seen::Closed]);
    }

    fn next<S: Stream>(stream: &mut Pin<&mut S>) -> Poll<Option<S::Item>> {
        stream.as_mut().poll_next(&mut Context::from_waker(Waker::noop()))
    }

    /// A connection that stays open: pending when its pieces are used up.
    struct Open(VecDeque<&'static [u8]>);

    impl Open {
        fn new(pieces: &[&'static [u8]]) -> Self {
            Self(pieces.iter().copied().collect())
        }
    }

    impl AsyncRead for Open {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let Some(piece) = self.0.pop_front() else { return Poll::Pending };
            buf.put_slice(piece);
            Poll::Ready(Ok(()))
        }
    }
}
