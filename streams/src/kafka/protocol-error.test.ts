import { AuthenticationError, NetworkError, TimeoutError, UserError } from '@platformatic/kafka'
import { describe, expect, it } from 'vitest'
import { StreamsError } from '../core/errors.ts'
import { errorCode, refusal, translate } from './protocol-error.ts'

describe('translate', () => {
  it.each([
    ['a lost connection', new NetworkError('Connection closed'), 'BROKER_UNAVAILABLE'],
    ['a timeout', new TimeoutError('Request timed out'), 'BROKER_UNAVAILABLE'],
    [
      'refused credentials',
      new NetworkError('failed', { cause: new AuthenticationError('wrong password') }),
      'BROKER_REFUSED',
    ],
    [
      'TLS where there is none',
      new NetworkError('failed', { cause: new UserError('Broker requires TLS.') }),
      'BROKER_REFUSED',
    ],
    [
      'a certificate',
      new NetworkError('failed', {
        cause: Object.assign(new Error('self-signed'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }),
      }),
      'BROKER_REFUSED',
    ],
    [
      'a name that is not known yet',
      new NetworkError('failed', { cause: Object.assign(new Error('no such host'), { code: 'ENOTFOUND' }) }),
      'BROKER_UNAVAILABLE',
    ],
    ['a fault of ours', new TypeError('undefined is not a function'), 'BROKER_REFUSED'],
  ])('of %s', (_what, error, code) => {
    const translated = translate(error, 'asking')
    expect(translated).toMatchObject({ code, cause: error })
    expect(translated.message).toContain('asking')
    if (error.cause instanceof Error) expect(translated.message).toContain(error.cause.message)
  })

  it('leaves errors of ours as they are', () => {
    const error = new StreamsError('CLOSED', 'closed')
    expect(translate(error, 'asking')).toBe(error)
  })
})

describe('refusal', () => {
  it.each([
    [errorCode.notLeaderOrFollower, 'BROKER_UNAVAILABLE'],
    [errorCode.producerFenced, 'FENCED'],
    [errorCode.invalidProducerEpoch, 'FENCED'],
    [errorCode.illegalGeneration, 'REBALANCED'],
    [errorCode.unknownMemberId, 'REBALANCED'],
    [errorCode.messageTooLarge, 'RECORD_TOO_LARGE'],
    [errorCode.offsetOutOfRange, 'OFFSET_OUT_OF_RANGE'],
    [29, 'BROKER_REFUSED'],
    [9999, 'BROKER_REFUSED'],
  ])('of Kafka code %i is %s', (kafkaCode, code) => {
    expect(refusal(kafkaCode, 'asking', { topic: 't', partition: 1 })).toMatchObject({ code, topic: 't', partition: 1 })
  })
})
