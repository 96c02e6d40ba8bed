/**
 * How often one address may ask. The bounds are for strangers: the public listener, and failed
 * authentication on the private one. The owner's own requests are not counted.
 *
 * @module
 */
import type { ErrorRequestHandler, Request, RequestHandler } from 'express'
import { ipKeyGenerator, rateLimit } from 'express-rate-limit'
import { LockerError } from '../agent/errors.ts'

/** Requests of one kind within a window. */
interface Rate {
  readonly windowMs: number
  readonly requestsMax: number
}

export interface Rates {
  /** Failed authentications; a credential has 256 bits, so this only keeps the log readable. */
  readonly failedAuthentication: Rate
  /** Everything on the public listener: a page loads some dozens of files. */
  readonly public: Rate
  /** Openings of share links; 20 wrong proofs stop a link, this bounds who tries many links. */
  readonly open: Rate
  /** Envelopes: 50 a second, 100 at once (DESIGN §11). */
  readonly envelopes: Rate
  /** Verdicts for strangers: each costs signatures, and look-ups at hosts the stranger names. */
  readonly verdicts: Rate
}

export const RATES: Rates = {
  failedAuthentication: { windowMs: 60_000, requestsMax: 30 },
  public: { windowMs: 60_000, requestsMax: 1_200 },
  open: { windowMs: 60_000, requestsMax: 120 },
  envelopes: { windowMs: 2_000, requestsMax: 100 },
  verdicts: { windowMs: 60_000, requestsMax: 60 }
}

export interface RateLimits {
  readonly failedAuthentication: ErrorRequestHandler
  readonly public: RequestHandler
  readonly open: RequestHandler
  readonly envelopes: RequestHandler
  readonly verdicts: RequestHandler
}

/** The limits, each with its own counters, in memory. */
export function rateLimits(rates: Rates): RateLimits {
  const failed = limit('failed authentications', rates.failedAuthentication)
  return {
    failedAuthentication: (error, request, response, next) => {
      if (!(error instanceof LockerError) || error.code !== 'not-authenticated') return next(error)
      // Within the limit the refusal itself goes on; past it, the limiter's.
      void failed(request, response, (exceeded?: unknown) => next(exceeded ?? error))
    },
    public: limit('requests', rates.public),
    open: limit('openings', rates.open),
    envelopes: limit('envelopes', rates.envelopes),
    verdicts: limit('verdicts', rates.verdicts)
  }
}

function limit(what: string, { windowMs, requestsMax }: Rate): RequestHandler {
  return rateLimit({
    windowMs,
    limit: requestsMax,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    // IPv6 hands out networks, so those are counted; a unix socket has no address.
    keyGenerator: (request: Request) => ipKeyGenerator(request.ip ?? 'local'),
    handler: (_request, _response, next) =>
      next(
        new LockerError('rate-limited', `more than ${requestsMax} ${what} in ${windowMs / 1_000} s`)
      ),
    // A forwarded address counts only behind a proxy the owner named (`trustProxy`); it may still be sent.
    validate: { xForwardedForHeader: false, forwardedHeader: false }
  })
}
