"""Tables as CSV files."""

from googlenet_jax.system.tables import write_table


def test_a_table_for_spreadsheets(tmp_path):
    rows = [["=1+1", -1.5, None], [("a", "b"), "x, y", [1, 2]], ["-x", "@", "+"]]
    write_table(tmp_path / "a.csv", ["one", "two", "three"], rows)
    assert (tmp_path / "a.csv").read_text() == ('one,two,three\n\'=1+1,-1.5,\n"a,b","x, y","1,2"\n\'-x,\'@,\'+\n')
