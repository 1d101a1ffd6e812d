package reference_test

import (
	"fmt"

	"presend/lists/reference"
)

func Example() {
	// The user's own files would be named in Options.UserFiles.
	names, err := reference.Load(reference.Options{})
	if err != nil {
		panic(err)
	}
	fmt.Println("throw-away:", names.Disposable("mailinator.com"))
	fmt.Println("a role:", names.Role("info"))
	fmt.Println("a free mailbox:", names.Free("gmail.com"))
	fmt.Println("never on the internet:", names.SpecialUse("corp.test"))
	// Output:
	// throw-away: true
	// a role: true
	// a free mailbox: true
	// never on the internet: true
}
