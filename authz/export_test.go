package authz

// Views is how many views the table keeps.
func (t *Table) Views() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.views)
}
