/** As the gateway's: names are keys of charts and logs. */
export const usernameCharsMax = 64
/** NIST SP 800-63B and ASVS 6.2.1 ask for 8 and recommend 15; this guards an interface without a second factor. */
export const passwordCharsMin = 12
/** What is recommended where a password is refused. */
export const passwordCharsWanted = 15
/** Of zxcvbn: more than 10⁸ guesses. Logins allow ten in 15 minutes, and whoever has the hashes pays Argon2id for each. */
export const passwordStrengthMin = 3
/** As the gateway's: hashing reads all of it. */
export const passwordCharsMax = 256
/** What is read of standard input at most, in bytes: four for each character of a password, and a line break. */
export const passwordBytesMax = passwordCharsMax * 4 + 2
/** The column's length. */
export const keyLabelCharsMax = 128
export const keyDaysDefault = 365
/** A key that nobody has had to renew for two years is one that nobody remembers. */
export const keyDaysMax = 730
/** What `show` prints of a key, value or header. */
export const shownBytesMax = 4_096
