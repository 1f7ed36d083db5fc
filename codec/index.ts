/**
 * Owns: the public surface of the codec.
 * Independent of: everything else; there is no code here.
 */
/// <reference types="node" preserve="true" />
export * from './constants.ts'
export { ControlFrameReader, encodeControlFrame } from './control-frame-reader.ts'
export { decodeBody, decodeValue, isAllowedInNetworkVec, isView } from './decode-value.ts'
export { encodedLength, encodeValue, writeValue } from './encode-value.ts'
export {
  errorCodes,
  InvalidValueError,
  ProtocolError,
  StatewireError,
  type ErrorCode,
  type ErrorCodeEntry,
} from './errors.ts'
export { FrameAssembler, type FrameSink } from './frame-assembler.ts'
export { bodyLength } from './frame-length.ts'
export { FrameReader, type FrameReaderOptions } from './frame-reader.ts'
export { encodeFrame, FrameWriter } from './frame-writer.ts'
export * from './limits.ts'
export { decodeMsgPack } from './msgpack-decode.ts'
export { encodeMsgPack } from './msgpack-encode.ts'
export { msgpackCostMax, msgpackCosts, msgpackDepthMax, msgpackTextLengthBytesMax } from './msgpack-limits.ts'
export { SpareMemory } from './spare-memory.ts'
export type * from './values.ts'
