/**
 * User Profile 1.0: how a party calls itself. Unproven: what a name is worth, its reader decides.
 *
 * @module
 */
import { z } from 'zod'

export const USER_PROFILE = 'https://didcomm.org/user-profile/1.0'

/** Body of `profile`. Pictures and descriptions are dropped: nothing shows them. */
export const profile = z.object({
  profile: z.object({ displayName: z.exactOptional(z.string().max(1000)) }),
  send_back_yours: z.boolean().default(false)
})
