/**
 * Logarithm and exponential of + − × ÷ alone. ECMAScript says of these four to the last bit what they give, of `Math.log`
 * and `Math.exp` only that they are near; and no two boards may disagree about who holds a fragment.
 */

/** Natural logarithm of a positive number, within two units of the last place of ln 2. */
export function ln(x: number): number {
  let exponent = 0
  let mantissa = x
  for (; mantissa > 1.4; mantissa /= 2) exponent++
  for (; mantissa < 0.7; mantissa *= 2) exponent--
  const s = (mantissa - 1) / (mantissa + 1)
  let series = 0
  for (let odd = 23; odd > 0; odd -= 2) series = series * s * s + 1 / odd
  return exponent * Math.LN2 + 2 * s * series
}

/** e to the power of −x, x ≥ 0. */
export function decay(x: number): number {
  if (x > 700) return 0
  let halvings = 0
  let y = x
  for (; y > 0.5; y /= 2) halvings++
  let power = 1
  for (let term = 14; term > 0; term--) power = 1 - (y / term) * power
  for (; halvings > 0; halvings--) power *= power
  return power
}
