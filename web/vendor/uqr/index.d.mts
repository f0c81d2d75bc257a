/** What the pages use of uqr. */

/** `data` has the rows from the top; true is dark. */
export function encode(text: string, options: { ecc: 'L' | 'M' | 'Q' | 'H', border: number }): { size: number, data: boolean[][] };
