/** Expectations about refusals: which code, and that nothing but a ProtocolError comes out. */
import { AssertionError, expect } from 'chai'
import { ProtocolError, type ProtocolErrorCode } from '../protocols/errors.ts'

/** Expects that the work throws or rejects with a ProtocolError of one of the codes. */
export async function refused(
  work: () => unknown,
  ...codes: readonly ProtocolErrorCode[]
): Promise<ProtocolError> {
  let result: unknown
  try {
    result = await work()
  } catch (error) {
    expect(error).to.be.instanceOf(ProtocolError)
    if (!(error instanceof ProtocolError)) throw error
    expect(codes, error.message).to.include(error.code)
    return error
  }
  throw new AssertionError(`not refused: ${JSON.stringify(result)?.slice(0, 300)}`)
}
