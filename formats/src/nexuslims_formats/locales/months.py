"""Names of the months in the languages of microscope PCs, as Unicode's CLDR lists them.

Wide and abbreviated, in the forms of a date and of a calendar; in lower case, without accents.
"""

import unicodedata
from collections import defaultdict
from typing import Final

_ROWS: Final = (
    (
        "ene enero gen gener gennaio ian ianuarie jaan jaanuar jan janeiro januar januara "
        "januari january janv janvaris janvier led leden ledna oca ocak saus sausio sausis "
        "sij sijecanj sijecnja sty styczen stycznia tammi tammikuu tammikuuta ιαν ιανουαριοσ "
        "ιανουαριου січ січень січня янв январь января яну януари јан јануар ינואר يناير"
    ),
    (
        "feb febbraio febr febrer febrero februar februara februari februarie februaris "
        "february fev fevereiro fevr fevrier helmi helmikuu helmikuuta lut lutego luty sub "
        "subat uno unor unora vas vasario vasaris veebr veebruar velj veljaca veljace φεβ "
        "φεβρουαριοσ φεβρουαριου лют лютии лютого феб фебруар фев февр февраль февраля "
        "февруари פברואר فبراير"
    ),
    (
        "bre brezen brezna kov kovas kovo maalis maaliskuu maaliskuuta maart mar marc marca "
        "march marcius marco mrz marec maret mars mart martie marts marz marzec marzo mrt ozu "
        "ozujak ozujka μαρ μαρτιοσ μαρτιου бер березень березня мар март марта מרץ مارس"
    ),
    (
        "abr abril apr april aprila aprile aprilie aprilis aprill avr avril bal balandis "
        "balandzio dub duben dubna huhti huhtikuu huhtikuuta kwi kwiecien kwietnia nis nisan "
        "tra travanj travnja απρ απριλιοσ απριλιου апр апрель апреля април квіт квітень "
        "квітня אפריל ابريل"
    ),
    (
        "geg geguze geguzes kve kveten kvetna mag maggio mai maig maijs maio maj maja majus "
        "may mayo mayıs mei svi svibanj svibnja touko toukokuu toukokuuta μαι μαιοσ μαιου маи "
        "мая мај трав травень травня מאי مايو"
    ),
    (
        "birz birzelio birzelis cerven cervna cvn cze czerwca czerwiec giu giugno haz haziran "
        "iun iunie juin jun juna june junho juni junij junijs junio junius juny juuni kesa "
        "kesakuu kesakuuta lip lipanj lipnja ιουν ιουνιοσ ιουνιου июн июнь июня черв червень "
        "червня юни јун יוני يونيو"
    ),
    (
        "cervence cervenec cvc heina heinakuu heinakuuta iul iulie juil juillet jul jula "
        "julho juli julij julijs julio juliol julius july juuli liep liepa liepos lip lipca "
        "lipiec lug luglio srp srpanj srpnja tem temmuz ιουλ ιουλιοσ ιουλιου июл июль июля "
        "лип липень липня юли јул יולי يوليو"
    ),
    (
        "ag ago agost agosto agu agust agustos agustus aout aug august augusta augusti "
        "augusts augustus augusztus avg avgust elo elokuu elokuuta kol kolovoz kolovoza rugp "
        "rugpjucio rugpjutis sie sierpien sierpnia srp srpen srpna αυγ αυγουστοσ αυγουστου "
        "авг август августа серп серпень серпня אוגוסט اغسطس"
    ),
    (
        "eyl eylul rugs rugsejis rugsejo ruj rujan rujna sep sept september septembra "
        "septembre septembrie septembris septiembre set setembre setembro settembre syys "
        "syyskuu syyskuuta szept szeptember wrz wrzesien wrzesnia zar zari σεπ σεπτεμβριοσ "
        "σεπτεμβριου вер вересень вересня сент сентябрь сентября сеп септембар септември "
        "ספטמבר سبتمبر"
    ),
    (
        "eki ekim lis listopad listopada loka lokakuu lokakuuta oct october octobre octombrie "
        "octubre okt oktober oktobra oktobris oktoober ott ottobre out outubro paz "
        "pazdziernik pazdziernika rij rijen rijna spal spalio spalis οκτ οκτωβριοσ οκτωβριου "
        "жовт жовтень жовтня окт октобар октомври октябрь октября אוקטובר اكتوبر"
    ),
    (
        "kas kasım lapkr lapkricio lapkritis lis listopad listopada listopadu marras "
        "marraskuu marraskuuta noiembrie nov november novembra novembre novembris novembro "
        "noviembre stu studeni studenoga νοε νοεμβριοσ νοεμβριου лист листопад листопада нов "
        "новембар ное ноември нояб ноябрь ноября נובמבר نوفمبر"
    ),
    (
        "ara aralık dec december decembra decembre decembrie decembris des desember desembre "
        "dets detsember dez dezember dezembro dic dicembre diciembre gru grudnia grudzien "
        "gruod gruodis gruodzio joulu joulukuu joulukuuta pro prosinac prosinca prosince "
        "prosinec δεκ δεκεμβριοσ δεκεμβριου груд грудень грудня дек декабрь декабря декември "
        "дец децембар דצמבר ديسمبر"
    ),
)


def folded(text: str) -> str:
    """Return a text in lower case, without accents, and with wide letters and digits as plain."""
    parts = unicodedata.normalize("NFKD", text.casefold().replace("ı", "i"))
    return "".join(letter for letter in parts if not unicodedata.combining(letter))


def _by_name() -> dict[str, tuple[int, ...]]:
    found: defaultdict[str, tuple[int, ...]] = defaultdict(tuple)
    for month, names in enumerate(_ROWS, start=1):
        for name in names.split():
            found[folded(name)] = (month, *found[folded(name)])
    return dict(found)


MONTHS: Final = _by_name()
"""Name -> the months that it stands for: ``listopad`` is November in Czech, October in Croatian."""
