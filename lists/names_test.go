package lists

import (
	"testing"

	"golang.org/x/text/encoding/charmap"
)

func TestNamesOfColumnsAreRanked(t *testing.T) {
	for want, names := range map[rank][]string{
		exact: {
			"Email", "EMAIL", "e-mail", "E.Mail", "E Mail", "Email Address", "emailAddress", "email_address", "E-mail 1 - Value",
			"Mail", "E-Mail-Adresse", "Adresse e-mail", "Courriel", "Mél",
			"Correo electrónico", "Indirizzo e-mail", "Endereço de e-mail", "E-mailadres", "Adres e-mail", "Эл. почта",
			"Адрес электронной почты", "E-posta adresi", "E-postadress", "E-mailová adresa",
			"メールアドレス", "Eメール", "電子メール", "邮箱", "电子邮箱", "電子郵件地址", "이메일", "Email (you@company.com)", "What is your email address?",
			"Email *", "E-mail cím", "ｅメール",
		},
		several: {"Emails", "Email Addresses", "E-Mails", "emailaddresses"},
		secret:  {"password", "Passwort (neu)", "api_token"},
		own: {
			"Work Email", "Primary Email", "billing_email", "Customer Email", "Person - Email - Work", "Home Email",
			"User Email", "Email (Work)", "Mailadresse dienstl.",
		},
		others: {
			"Owner Email", "Secondary Email", "Mum-email", "E-mail 2 - Value", "E-mail 2 Address", "Email2",
			"Alternate Email 1", "Account Owner: Email", "Manager's email", "alternateEmailAddress", "userPrincipalName",
			"Mutter E-Mail", "Reply-to email",
		},
		weak: {"Address", "Adresse", "From", "To", "Contact", "Login"},
		nameless: {
			"Name", "Mailing Street", "Phone", "URL", "bob@x.lab", "mail=bob@x.lab", "", "Nachname", "Remaining",
			"Template",
		},
		never: {
			"Email Status", "Email Opt Out", "E-mail 1 - Type", "E-mail Display Name", "Company Name for Emails",
			"Email Marketing Consent", "Email opens (7d)", "Last email date",
		},
	} {
		for _, name := range names {
			if got := rankOf(name); got != want {
				t.Errorf("%q has rank %d, want %d; its words are %q", name, got, want, wordsOf(name))
			}
		}
	}
}

func TestEveryWordOfTheDataNamesWhatItSays(t *testing.T) {
	for _, fields := range dataLines(columnsText) {
		for _, word := range fields[1:] {
			switch got := rankOf(word); fields[0] {
			case "mail", "part":
				if got != exact && !nameWords().kinds["plural"][word] {
					t.Errorf("%q has rank %d", word, got)
				}
			case "plural":
				if got = rankOf("email " + word); got != several {
					t.Errorf("%q behind email has rank %d", word, got)
				}
			case "secret":
				if got != secret {
					t.Errorf("%q has rank %d", word, got)
				}
			case "otherpart":
				if got = rankOf(word + "メール"); got != others {
					t.Errorf("%q before メール has rank %d", word, got)
				}
			case "other":
				if got = rankOf(word + " email"); got != others {
					t.Errorf("%q before email has rank %d", word, got)
				}
			case "never":
				if got = rankOf("email " + word); got != never && got != others {
					t.Errorf("%q behind email has rank %d", word, got)
				}
			case "weak":
				if got != weak {
					t.Errorf("%q has rank %d", word, got)
				}
			case "login":
				if got != others {
					t.Errorf("%q has rank %d", word, got)
				}
			case "neutral":
				if got = rankOf("email " + word); got != exact && !nameWords().kinds["plural"][word] {
					t.Errorf("%q behind email has rank %d", word, got)
				}
			default:
				t.Errorf("columns.txt has a line of kind %q", fields[0])
			}
		}
	}
}

func TestEveryAlphabetTellsItsEncoding(t *testing.T) {
	all := alphabets()
	for i, a := range all {
		var letters []rune
		for r := range a.letters {
			letters = append(letters, r)
		}
		table := codecs[a.encoding].(*charmap.Charmap)
		var text []byte
		for _, r := range letters {
			if b, ok := table.EncodeRune(r); ok {
				text = append(text, ' ', b, 'e') // õ counts before e alone
			}
		}
		if share := a.share(text); share != 1 {
			t.Errorf("line %d, %s: share %v", i, a.encoding, share)
		}
		// An earlier line that fits as well decides, as where two languages have the same letters.
		if got, share := detectSingleByte(text); share < 1 {
			t.Errorf("line %d, %s: taken for %s with share %v", i, a.encoding, got, share)
		}
	}
}

func TestOurColumnsAreKnownByName(t *testing.T) {
	for name, want := range map[string]bool{
		"verify_verdict": true, "Verify_Score": true, " verify_2_verdict ": true, "\ufeffverify_mx": true,
		"verify_12_retry_at": true,
		"verify_email":       false, "verdict": false, "verify_": false, "verify_x_verdict": false, "verified": false,
	} {
		if got := isOurs(name); got != want {
			t.Errorf("isOurs(%q) = %v", name, got)
		}
	}
}

func TestEveryTotalOfTheDataEndsAReport(t *testing.T) {
	for word := range totals().words {
		if !isTotal(word) || !isTotal(word+": 12") || isTotal(word+"ter") {
			t.Errorf("%q", word)
		}
	}
	for counted := range totals().counted {
		if !isTotal("(12 "+counted+")") || isTotal(counted) && !totals().words[counted] {
			t.Errorf("%q", counted)
		}
	}
}
