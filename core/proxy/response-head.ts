/**
 * The part of an answer's head that goes back to the client. How the body is framed is the shell's business on each side,
 * so Transfer-Encoding goes with the other hop-by-hop fields.
 */
import { areFieldsValid, endToEndFields, type HeaderFields } from "./header-fields.js";

/** Undefined when a field holds characters that HTTP does not allow: the server's bytes are a stranger's. */
export function forwardedResponseFields(headers: HeaderFields): string[] | undefined {
  return areFieldsValid(headers) ? endToEndFields(headers) : undefined;
}
