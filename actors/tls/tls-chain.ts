/**
 * Owns: whether a certificate chain is anchored in one given root, at one given time.
 * Independent of: whose root it is, and sockets. OpenSSL has checked the chain against all roots together before (path
 * lengths, name constraints, critical extensions); this determines which root it was.
 */
import type { X509Certificate } from 'node:crypto'

/** Leaf and root included. */
const chainLengthMax = 8

/** Whether the certificates shown (the leaf first) lead to the root. Never throws. */
export function isAnchored(shown: readonly X509Certificate[], root: X509Certificate, nowMs: number): boolean {
  // Bounded before anything is tried: a peer could send hundreds that all sign each other.
  const [leaf, ...others] = shown.slice(0, chainLengthMax)
  if (leaf === undefined) return false
  try {
    if (!isValidAt(root, nowMs) || !root.ca) return false
    return climb(leaf, others, root, nowMs, chainLengthMax)
  } catch {
    return false
  }
}

function climb(
  child: X509Certificate,
  others: readonly X509Certificate[],
  root: X509Certificate,
  nowMs: number,
  lengthMax: number,
): boolean {
  if (lengthMax < 2 || !isValidAt(child, nowMs)) return false
  if (isIssued(child, root)) return true
  // Each certificate is used once in a path, so that two that sign each other do not loop.
  return others.some(
    (issuer, index) =>
      issuer.ca && isIssued(child, issuer) && climb(issuer, others.toSpliced(index, 1), root, nowMs, lengthMax - 1),
  )
}

function isIssued(child: X509Certificate, issuer: X509Certificate): boolean {
  return child.checkIssued(issuer) && child.verify(issuer.publicKey)
}

/** Certificate dates include their time zone, GMT. */
function isValidAt(certificate: X509Certificate, nowMs: number): boolean {
  return Date.parse(certificate.validFrom) <= nowMs && nowMs <= Date.parse(certificate.validTo)
}
