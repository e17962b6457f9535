/** Public e-mail providers. Anybody can get an address there, so none of these can be claimed. */
const domains = `
  126.com 139.com 163.com aol.com att.net bluewin.ch bol.com.br comcast.net cox.net daum.net
  duck.com earthlink.net fastmail.com fastmail.fm free.fr freenet.de gmail.com gmx.at gmx.ch gmx.com
  gmx.de gmx.net googlemail.com guerrillamail.com hanmail.net hey.com hotmail.co.uk hotmail.com
  hotmail.de hotmail.es hotmail.fr hotmail.it hushmail.com icloud.com inbox.ru interia.pl laposte.net
  libero.it list.ru live.co.uk live.com live.de live.fr live.nl mac.com mail.com mail.ru mailbox.org
  mailinator.com me.com msn.com naver.com o2.pl orange.fr outlook.com outlook.de outlook.es outlook.fr
  posteo.de proton.me protonmail.ch protonmail.com pm.me qq.com rambler.ru rediffmail.com rocketmail.com
  sbcglobal.net seznam.cz sfr.fr sina.com t-online.de terra.com.br tuta.com tuta.io tutanota.com
  tutanota.de uol.com.br verizon.net virgilio.it wanadoo.fr web.de wp.pl ya.ru yahoo.ca yahoo.co.in
  yahoo.co.jp yahoo.co.uk yahoo.com yahoo.com.br yahoo.de yahoo.es yahoo.fr yahoo.it yandex.com
  yandex.ru yeah.net ymail.com yopmail.com zoho.com
`;

export const publicProviders: ReadonlySet<string> = new Set(domains.trim().split(/\s+/));
