/**
 * Requests that the shell's HTTP parser gave up on, told apart by the code of its error, so that a person learns what is
 * wrong with what their program sends. None of them was sent on.
 */
import { type Refusal, refuse, refuseFraming, refuseHeaders, refuseMalformed } from "./refusal.js";

/** What a method begins with. TLS begins with 0x16. */
const isLetter = (byte: number): boolean => (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);

/** `code` is that of node's error: HPE_* of its parser, or of its own limits. `firstByte` is that of what came. */
export function refuseUnparsed(code: string | undefined, firstByte?: number): Refusal {
  if (code === "HPE_INVALID_METHOD" && firstByte !== undefined && !isLetter(firstByte)) {
    return refuseMalformed(
      "What came is TLS or another protocol, and this port speaks plain HTTP. Nothing was sent on.",
    );
  }
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return refuse(
        431,
        "headTooLarge",
        "The request head is too large",
        "It is longer than 64 KiB: most often too many cookies. Clear those of this site.",
      );
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return refuse(408, "headTooSlow", "The request came too slowly", "Its head was not complete after a minute.");
    case "HPE_INVALID_METHOD":
      return refuse(
        501,
        "method",
        "This method is not known",
        "Its name is not one of the registered methods, or this is not HTTP at all. Nothing was sent on. Any method may go through a CONNECT tunnel.",
      );
    case "HPE_INVALID_CONTENT_LENGTH":
    case "HPE_UNEXPECTED_CONTENT_LENGTH":
    case "HPE_INVALID_TRANSFER_ENCODING":
      return refuseFraming("It states the length of its body in a way that can be read as two.");
    case "HPE_INVALID_CHUNK_SIZE":
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
    case "HPE_STRICT":
      return refuse(
        400,
        "chunking",
        "The request's body is malformed",
        "It is sent in chunks, and one of them is not.",
      );
    case "HPE_INVALID_HEADER_TOKEN":
    case "HPE_UNEXPECTED_SPACE":
    case "HPE_INVALID_EOF_STATE":
    case "HPE_CR_EXPECTED":
    case "HPE_LF_EXPECTED":
      return refuseHeaders(
        "One of its lines is not one that HTTP allows: a bare line end, a space before the colon, a folded line or a control character.",
      );
    case "HPE_INVALID_URL":
      return refuse(
        400,
        "badTarget",
        "The address cannot be read",
        "It holds characters that may not stand in an address. It takes http://NAC.mariana/path, or CONNECT NAC.mariana:PORT.",
      );
    case "HPE_PAUSED_H2_UPGRADE":
      return refuseMalformed("This is HTTP/2, which goes through a CONNECT tunnel and not to the proxy itself.");
    default:
      return refuseMalformed("It is not HTTP as this proxy understands it, so nothing was sent on.");
  }
}
