/**
 * Secrets that look generated, but are published: the first 40 bits of the SHA-256 of each, which
 * tell nothing of them. Those of 32 bytes and more in wallarm/jwt-secrets (MIT) whose strength
 * alone would not give them away. A generated secret is taken for one of them once in 10⁹ times.
 */
import { createHash } from 'node:crypto';

const BYTES = 5;

/** Whether this secret is known to be published. */
export function isLeaked(secret: string): boolean {
  const digest = createHash('sha256').update(secret.trim()).digest().subarray(0, BYTES);
  const all = Buffer.from(FINGERPRINTS.join(''), 'base64');
  for (let at = 0; at < all.length; at += BYTES) {
    if (digest.equals(all.subarray(at, at + BYTES))) return true;
  }
  return false;
}

const FINGERPRINTS = [
  'ABQei3AALNpYRQBKbcgbAE/HcasAfbCElwDg+2HtAOMsmQABcH5PXQGMvJGlAb1CkHoByHI1ewKGIzT+Ap2qovUDTefP',
  'oQNuNhrCA52wpBoEa8nBqwTU7nsZBOAbbIoFO+mUwQVbqI0PBWe/OUgFtibIhQXXx7pzBjifmWcGT01lnwZzj9rzBn0x',
  'BoUGo1faEAatZIlkByJEKjoHJZ86pQeBVPk1B5WPE8MHm7RIKwiuQN3nCNbS8QcI8Y4hFQkrIXs1CTJyhXMJfv9+FQmd',
  'pHWlCcqW5VUJ5c9zSQrP4RgAC0oSYj0LdgnAnQygBEDFDQfcSoINH/GhUQ2GJOJADZ30aUkN+mPCfA37U1XhD2jfxjQP',
  'lwRjcg/H/tGfEAvqDo4QNITBxxDafAySEOJCdDERECDzdRF51botEbBGDusRtJOhkhII+RaxEk6hfLASlSF6FRLRC5YO',
  'E0ZYftcT0x6WGhRGnqd+FLcpmkgUueCfMBTZloRLFOdkplYVfsN1NhWQOQaxFbT3+VsWHWQ/LBZ0gKwbFnlfT2IWfdmr',
  'OBaKBmUlFvwlqXcW/gzc5RcdMfuRFysjPKAXSfjIZRdOHDWfF+e02wwYCmdXBRg5z3HnGIfrJ5MYkS4d7RiqDHudGSCJ',
  'XAIZMRWlThmWc4j4GbXPn34ZxPqgSBnyLcdDGuSdt/gbb/wjORuVn1gpG7VKKi8bvc5GSRvYsOVlG99sX84b7GI36hwW',
  'g3VjHDl/rqkcaS+vehysEdVaHLfwkrAcw4l15B0LxOJUHStljN4daiZe8R1ruTVtHh4A8PYerRl7VR62CTdGHwHonCQf',
  'LwpYUx+L/dDZH6kZi+cf0VD2KR/sv+5vIDl/RE4gbHvDxiDsbzN2IRvsRXwhZWz4JSGkJyXVIbEHeRQhugFTGSIVdNSN',
  'Io+cLoQjGTI4CiNk2rbqI25us3Yjh5vekiOfB2kvI6bhvWokTr1kuSRyNVT3JJIhKpIklj+BsyTUNOg5JRLjzDkmAs2K',
  'OiYUUvRpJhWgW/ImVMI3aSafFSf9JruusvUm5apsuCdJ/EpWJ20SZ80nxa5goSgyBuJwKDOhBJIoYvn96ihuE0ELKObU',
  'pOUo89/Hnyk+oqxCKV9NPQAp61uyVyojqc3jKr70XT8qybpeXCsLcH8CK1TYZwork4XSISvB7ylTLEAoK9ksjw0snCyP',
  'zuVDLM7fk/0s8Bf7Ci0I+MvyLXOnGwctkT4XHy4A77ujLh/fgp8uQJC24y8Ya3GTL5J9sZ4wlKr9ujCWHi1lMMTW6ZMw',
  '2WLauDE0DnQAMUlioXsxnQhD2TIsTFoBMkQ3ILUyZj++EzKTqM65MsbfjOYy9XlExzL4QoLMMv0bBAUzCdRWkzM6FOyI',
  'M0lFFEozVM/PZTNb2ipcM9REc5wz2S0azjPiasJmM/nKjNc0T4kNgjRjSZNMNG314ro0r2z5pzT0YBvuNTlHdws1X/X4',
  'sjVrg8nXNW8JZCA1vzLt7jXJeFxmNefXSAU2EWB1ATZzNNWLNpKRaAQ3A+sA4zfp1GE3N/b8EqU4QtIv9zhK+ehFOGND',
  'NNY4krK5rTjAF+W5ONHQimA5Wz5w/Tn3ooSxOj33RHE6dDcGdDq9C9n0OtL9FIc6/QkLPjsEqz1HOwwPY5Q7PFrSTjtM',
  '4vqxO4xkG3E7qHer8jvHwWljPBqS42w87ojC1D0BQSmXPYqPCG09lcenFD3bCasrPeBRV9Q+mAl7QD7pOSaoPx00rYU/',
  'HWkZyz8n9Fc3P24L87FAOEcyGEBVnJ08QOqe8tdA+Xub+kEcNkrqQR529LBBJRJXOkFJnZPTQXwzOR9BislgRUGiw9tC',
  'Qe2GsnFCDdMUBUIdd9KkQjzKct9CkhApGULRTeANQwG9da9DKrrtbEM7tuRLQz2X2EpDSN442UPXFbArRGIE5y1EzLQj',
  'MkTMwH1sRO9QLYZE9DorvUXdmMRbRe+hWeZF/lShM0ZY+D55Rm5uKEVG2PJ04kcirnmpR3skzYxHi1yOTkeyxny2R/DT',
  'pH5IQM0AzEjOxXUQSRxHZF5JJLzHqklI6LagSVY4SBpJuhApiUoHx7HMSgmZaHpKF98Os0pCJDbkSwI5HtlLE/13PUsV',
  'f8DcS16NpaRLaHHaSkuU2KAbS/EfTOtMgJOCvEyx+HyyTOlZmqFOITrFaE9iZkEGT5vRXw5Prtd/vVAi0/ueUDHpzgtQ',
  'WThqJVBu1u4YUJcl6epQt8y8t1D/TVlDURGYI55RGCWfMFG964qwUi2HUiNSMPmTOlJxA3b5UnvrGnBSuAhMj1LRzmbd',
  'UwmchRxTMdAA8lNhaGhkU34zq1hTqa9q1lOqtSZ5U7C1axVTu4Oh/lP/3NJgVCYjZX9UVG5me1Rhtm9kVKwdy+FVMk10',
  'r1VGATkjVaRrcnBWJNGBqlYmtOBJVkESN2ZWa/mXBlZvtdhrVoU72NFWk5zQYlbnSpCjVw2tQ95XQbIiNFfyXEQyWCzH',
  'nNVYPmm20lhlnQTgWHwxR2xYqdL6eljFpLCoWQmV8JhZSyoGxll+Mxi1WZnO7EVZyd3Cf1nXihm3WhSoOhtaK05zsFor',
  'mTAUWnHQ+1FalFvhFFrakcE/WxQNfIdbPz/W+ltobbXuW7MatWFb1jyMKFvlzGj2XFN5U5pc2FkhGF5V89bhXrpei9le',
  'yDWy618HygVeXyr2yb1fPQq/9F9jQdmtX4LmZZJfjxJ4jF/E/ecsX98pjppgDLoCiGBoHFUoYP+yUWphHUnpiGFt+vwi',
  'Yb8sz5tiVUV9SWJh9OfQYnq8muxijSB6ZGLmj/QoZABmrCZkbmxYGmSz7sM4ZNfHoKNk37JHa2UFzutRZSrQLGFld1EH',
  'YmYHJvLRZgzNldRm33PDbGcproQrZ10UQ95nlp9Q5Ge4pnArZ93gQS5n+qpfVGhZ7glyaIj09eho5dRstmkCTyHpaTlT',
  'kUppjQZmD2o7/Evval89WLhqk7SYAmsDvl4Baxq7Wz9ro/DIJ2vBfIrBbBXlW/FsTJ71XmxnuEXlbJi/ojZsq8hcRGyw',
  '9Nd6bPApISVtO36XnG2ZTZ3SbaM+EL1udPySCG6H9nD5bsanv05vEx564W8a5AVwbyuIxIVvju7j4XA4CSMncH43Xh5w',
  'ihrgb3CT3yOUcNZYt8ZxR7AaOXFU3oOjcaOEjJZxrKkBlHHrEJcBcj8VfMxyemgXe3Ke334IcrkaDQhy3/Qr7HLgPLpQ',
  'cuzSmNNy9rpm63M9jXi6c4eIcVl0CeBG63RPhCOvdIk8zHR0sPhgnHS3S4AOdXe2kkt1ijyVGHXF0gYZdhAwrIF2XlJv',
  '8XaDiYyJdteuOdN2+swETHcszcr2eDp8RLB4jwLFGXjxvWuOeVuSW7p5javwEnm53FzHeeuZ3HR6N+gPn3p33Y9vevGY',
  'QfN7EpZH7nsfWJMFeyTzlZd7Qb28AXwppqUQfGDBWId8rokmz3zoPjxWfRojPIZ93kblz33+6mDYfrfbib9/O86COH9U',
  'erKVf3ELjrp/eu8Lzn/GZ3uNf9PStxGAEwFoB4BSnpt3gM0EBqeA9cD0IIFkMLUBgpMWDoyC0eutvoLSAdzvgtrnXsCD',
  'INyysYM50OJrg04iWwmDWRltSINcv5slg4t/hI2Ds/FNZIQPJgVDhBdKxEuEWIuPq4Rnf11shIfIDKeEjM3usYSqQI5o',
  'hS52MbuFQU9apoWR6fNUhhRJGL6GGeppyYcsPVd+hz+wiUWHhibevYfA68pth8pIPRyH6bGpDogpby6diDis6IWISs/d',
  '/IiHeNRHiOLoVmWI5LAqC4jrwxo6iSj2s8uJcA1Q2YlzSa+6if5Y9ASKMJPui4pbUMGCil2OxSmKfAyBvIqm/4IpirXn',
  'k0SKyXNZ4IryUfk0ixpRAj+LGxepdIsxeJ9kizcrwdyLer85+Iuw/tPajAMMBs2MF0zPsYy6V2BCjMMo8vWNCCcbNY3g',
  'F8jfjgEW6f2OehmDJY5/VcNWjpPBhtGOoqwOPI8FA+GGjwa1HFOPaLghqo+MYLnkj7kH5DCQD12+X5A7Jt0OkFn3joqQ',
  'nQxiL5EMgsbFkTb6gyyRcUMJuZGRYlJ0kidOPfOS0LWPc5MGG1fSky/W3RyTbzReVpQpJYL3lJaQgJWUvOCn6JUVudla',
  'lSR3jsmV1bI87Jcc7bZZl5ICBBSYF5/mFZhJTeQbmFlJxV+YznRkb5jtaqMXmY627QmZ29U3QJncNKccmeP4/6OZ5fKI',
  'MppYtS+5mtwVaUaa4LBT7pryV9VBmvdR6rmbNDRJL5tJtlKlm05YKRKbZB4aqJvRQ1sZnC7SbL2cUI6CnpyXtlw5nMfQ',
  'XzadT8Mvf51Vq9edncac0/6d0W0pfp3j3aQPnehinbCeCeWpPJ4Pe5/UnhOwv1qeGfUkr55dIIUGnpUsEsyeu/QETZ7I',
  'BeBynt1J/pefClWIXp8ZJsEfn0I8vWOfsAYFbJ/RRV9ooBitf6CgLlza8KB3OQ/2oLUoKYyhMa8g+6FRIIEMoYZpDnqh',
  'ozBqiqHQAM9EofMLUXah+9zrCaIzpKBfolyIPdmifWa6K6K8JbIcoyLckDyjmltYgKOrY0eio8kMhlWj9owCQ6P5MYMh',
  'pAG2yRWkRfIFxqRhCyW/pJu5d+ykqfxd5qTI+MKQpPQcTL+lF+/cv6Vrq2RGpZUJs9aloqoflaXBfFhHpdzIYPCl6md5',
  'SKYZ46cLpiz1tQumX7xD6KaMLIvFpp5ocuWmrngRaqbLX43bp7BzirunxiIiLKg8kKjmqFKTvW+orN8wN6jKyKpAqQse',
  'FqmpJCeQU6kqLerJqTBsz3CpdPez56oKXQ9dqmwcSA2qoXbGKKsjdfOjrD4nrbKs/OgQeq03kEmgrVHanaGthR9skK2p',
  'IaL7rcIF/pGt4tdGfK4A+VxXrmARjrmuY5eEY66vKCVzrwbEm7KvZMORla+eTytWr9UxRyOv7GcQB6/wC3nhsEfeJpKw',
  'cv1Y3rC4OLa9sUjQadSxcpPwj7HAGv65skO+w6uymsC2KrKoGwYFsq9qKh6ysTI+brLxMxWDs2v1nq2zocCMSbRRGfbN',
  'tPjgR5+1IOZ3PrUz8jNCtbBNZrG13730ArY8NqLftqVimHm2xrgpabb6VR3ItvsCTB22/JD3orf3nX0EuB4slEu4J6Cd',
  'nriOyU/BuKgJd0C4q7QV6LjNwR09uNkgrNm5NEvtjrlJEV7ZuV1P9uO5XzsdSrpNIKHUuni/tq661Fmu7LsHrNR2uySq',
  'DL67LM7iXLta6RzYvIJCK1e8+DJlFr0xoMPzvUjRpXK9ikHRRb2Lnl4KvcSGH8691m9rwL5TXc6Pvq/JGSy+zVkVgL7b',
  'fJ9Sv1AsH/+/en6oYb9/5clnv+01HmPAJZMyS8BKMr0hwMK5R/rBDS7N5cGMfy/zwaFsMKbCPGgbLcJOkOUkwpFIo1jD',
  'ksw/GsPOqHd8xE++8ObEi3C3vcUYKv5UxT5NXLbFUfJoV8VTIP8JxhMK+t7HmCg+ece9jieex80Qf+PH6Xd/LMgj9sDw',
  'yEgpxuDIpc5kFMjiLTQ0yRbOcijJGy86AclVNumcyf9DTaPKJmY7espJK0vWylztkMzKmsu6SMq8JKs/yyeE3IzLTVCn',
  '/8t8q54my92XPO7MOTVI8cxTkwqezKQuzoDNFvQvus0gLQzjzXcqcxzNsshFb83vIYLrzg8mYJnOJFI9mc6Mhy3bzpqy',
  'QdrOtESCLM7caY9qzwxJgonPE84X3M8w8xqLz0E3QRLPRpNqAdAh42Zr0NqXldvQ4C5TkdDkc05X0RMuvLrRrQfh+tJ/',
  'TMRb0qnDu3LTGnS8xtMeYi2Y0yCJS8TTPjWNtNPqbuSf1DHuY9PUPNUhktSFRuM11LkeCwfU/Kbil9VBjZ7q1US7RufV',
  'ZWZvYdV6Y+ou1ZAk47zVn7+vJ9Wpdd/g1jUhCczWWvu4Vda7HPov1uokDgrXAXA/UNcXbQHj1yFr2sbXOo+TqNeNBvq5',
  '2BHu2rfYK+Ak/9hnu3EP2HcV+OnYqbOX/tjd+Rm12UAaBQHZRnT9F9m5++Bd2bzk6avZyj9bzdn9aiQB2f8yFUnaishV',
  'NNqMFAGY2qFCiijau3jcjtrarTMs2wSFLfzbjf0ZK9vo8UnJ2+/cCnPcD23hTNwmUBKa3HJ4XzHctPGW79zYWARc3NpC',
  'dPTdIgIni90spt2y3Zk/axjdyXVG4t4QTHVR3iJNMfXeTz60Wt56TDzC3uZI2tLfESggbN895IJh30M2QIzfd1kfyt+H',
  'jOxn38ZCFXXgx8OHk+E6h2BE4XUF+//iByeBE+Isi4wu4jXx0PTit7DChOLO2zlW4uslAzji/5irMOQXltKo5RtUje/l',
  'J45vxeVWRMsI5X+dTLDlmDz0ReXGMmpA5crxqNfl+alYBOYFNJg/5hzIDwXmJfUW++Yr27W+5tQ3b4znG3jpa+d8j/Bm',
  '54nV2kPnm80/U+fIKNS86EXVP/XoTIZpj+hPUlCY6HkcbMro2fKqH+jfYZUr6PUKsHfpTun68OlcM6a56W/un37pfAyU',
  'MemuCyCf6biCyGLqcPljPOuiqO7p679/LevsVTRQWeyi/4Cy7Nfa7fjs7WHjD+0qMdf27Txm5fvt4HunK+45EqXQ7mmk',
  'n4buagONtu7T8Kxe7uMZXyfvRFEC0+9UxrC571w+8a/v42JK4/AhurrL8Ca/HALwPbLmAfBcrKZp8M5Sw6nw5UCN/vEn',
  'JR9S8UDJnAfx1PkrY/Hl2ph88hX6+djyXsKiffKanLHB8ud2Cz/zBS9lcfOLmezf87tG4bPz0LhuGvQKdgow9BmMbNn0',
  'HAiP0fSiBorJ9STj05r1Kf5kGfVYvr0b9ZNHtHn12bACqPYM4Y+39icFPpT2Tla9AfbFxotM9tvXgWv3G/JLdPdzNK09',
  '93kQymD3kGjZO/evV0no98DYsvH33YfL6ffxGhlQ9/icaRv3/pr2nPgEzNRe+Fwe1af4xwgk1PjX1zl9+QrVyYP5KDC5',
  'kPlbE7hz+W+ntcb5gPm1zPmtDybT+hxXLrz69K32KPtOVTuU+4G8eQT79mk93fv5Z1Ri/B/b43P8SKrG/fz67tZP/QwZ',
  'ZH7+YKHi1/5woaN9/pZvuG7+ypaTov9BlUAo/2XthkX/gboXdf/2elqP',
];
