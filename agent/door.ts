/**
 * A door to a feature that exists only while the vault is open. The gateway keeps the door; each call asks
 * for the feature behind it, which throws `vault-sealed` while there is none.
 *
 * @module
 */

/** `behind`: the feature now, or throws. Only methods can be reached through the door. */
export function doorTo<Feature extends object>(behind: () => Feature): Feature {
  const target: object = {}
  const door: unknown = new Proxy(target, {
    get(_target, name) {
      // A door that is awaited, printed or compared is not a call of the feature.
      if (typeof name === 'symbol' || name === 'then' || name === 'toJSON') return undefined
      return (...parameters: unknown[]): unknown => {
        const feature = behind()
        const method: unknown = Reflect.get(feature, name)
        if (typeof method !== 'function') throw new TypeError(`${name} is no method`)
        return Reflect.apply(method, feature, parameters)
      }
    }
  })
  // The proxy answers every method of the feature with that method: TypeScript cannot know.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return door as Feature
}
