//! [`ServerCodec`]: the codec of the server, whose answers are messages or [`Encoded`] ones.

use std::marker::PhantomData;

use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, EncodeBuf, Encoder};
use tonic_prost::ProstDecoder;

use crate::encoded::Encoded;

/// An answer of the server.
pub trait ResponseMessage: Send + 'static {
    /// Appends the encoding of the answer to `buffer`.
    fn put(&self, buffer: &mut EncodeBuf<'_>);
}

impl<M: Message + 'static> ResponseMessage for M {
    fn put(&self, buffer: &mut EncodeBuf<'_>) {
        buffer.reserve(self.encoded_len());
        self.encode(buffer).expect("the buffer grows");
    }
}

impl<M: 'static> ResponseMessage for Encoded<M> {
    fn put(&self, buffer: &mut EncodeBuf<'_>) {
        buffer.reserve(self.size());
        Self::put(self, buffer);
    }
}

/// A codec for answers of the type `T` and requests of the type `U`.
#[derive(Debug)]
pub struct ServerCodec<T, U>(PhantomData<fn() -> (T, U)>);

impl<T, U> Default for ServerCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: ResponseMessage, U: Message + Default + 'static> Codec for ServerCodec<T, U> {
    type Encode = T;
    type Decode = U;
    type Encoder = AnswerEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> AnswerEncoder<T> {
        AnswerEncoder(PhantomData)
    }

    fn decoder(&mut self) -> ProstDecoder<U> {
        ProstDecoder::default()
    }
}

/// The encoder of answers of the type `T`.
#[derive(Debug)]
pub struct AnswerEncoder<T>(PhantomData<fn() -> T>);

impl<T: ResponseMessage> Encoder for AnswerEncoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, answer: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        answer.put(buffer);
        Ok(())
    }
}
